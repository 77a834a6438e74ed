"""The Grafana board as a picture and as a table, of a server under load and a real Prometheus; Grafana is not needed.

    python -m benchmarks.board

Serves serve_config.yaml with targets, scrapes it with the config and the rules of configs/monitoring, changes the load
for three minutes, and asks every query of the board. Writes benchmarks/results/board_<hardware>_<yyyymm>.{json,md,png}.
Needs Debian's package `prometheus`.
"""

import shutil
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from configs.document import application
from pitstop.measure import results

from .. import script
from ..cache import PROJECT
from ..run_times import pitstop_run, until_ready
from . import load, picture, table
from .answers import Answers, answered
from .panels import filled, interval_s
from .prometheus import MISSING, Prometheus, Span, prometheus

USER_CONFIG = {"targets": {"p99_ms": 50, "queue_ms": 10}, "max_queue_size": 256}
_SEEN_S = 120.0


def main(arguments: Sequence[str] | None = None) -> int:
    given = list(sys.argv[1:] if arguments is None else arguments)
    options = script.parser("benchmarks.board", __doc__).parse_args(given)
    if shutil.which("prometheus") is None:
        print(MISSING, file=sys.stderr)
        return 2
    script.unwind_on_sigterm()
    record = results.head(["python", "-m", "benchmarks.board", *given])
    found = measured()
    record |= {"user_config": USER_CONFIG, "phases": [each._asdict() for each in load.PHASES], **found.as_json()}
    name = results.stem("board", record)
    text = table.markdown(record, found, f"{name}.png")
    results.write(options.out, name, record, text, picture.png(found))
    print(text)
    return 0


def measured() -> Answers:
    """Serve, scrape and put load on; return what Prometheus answers to the board's queries."""
    # Sockets live below it, and their paths may have no more than 107 characters.
    with tempfile.TemporaryDirectory(prefix="pb-", ignore_cleanup_errors=True) as name:
        folder, config = Path(name), PROJECT / "serve_config.yaml"
        discovery = folder / "ray" / "prom_metrics_service_discovery.json"
        with pitstop_run(config, _with_targets, more_env={"RAY_TMPDIR": name}) as (process, _, port):
            until_ready(process)
            with prometheus(discovery, folder) as asked:
                _until_scraped(asked)
                step_s = interval_s()
                start_s = int(time.time()) // step_s * step_s
                load.put(f"http://127.0.0.1:{port}")
                # Until Ray has exported the end, and it is scraped.
                time.sleep(2 * step_s)
                return answered(asked, Span(start_s, int(time.time()) // step_s * step_s, step_s))


def _with_targets(raw: dict[str, Any]) -> None:
    for name in ("digits", "digits-cpu"):
        [deployment] = application(raw, name)["deployments"]
        deployment["user_config"] |= USER_CONFIG


def _until_scraped(asked: Prometheus) -> None:
    deadline = time.monotonic() + _SEEN_S
    # A rate needs two scrapes.
    while len(asked.ask(filled("rate(ray_pitstop_requests_total[$__rate_interval])"))) < 2:
        if time.monotonic() > deadline:
            raise RuntimeError("Prometheus sees no replicas")
        time.sleep(0.5)


if __name__ == "__main__":
    sys.exit(main())
