"""How soon `pitstop run` says what is wrong, and how soon it ends: four times, each measured by an outer clock.

    python -m benchmarks.run_times                   # writes results/run-times_<hardware>_<yyyymm>.json and .md
    python -m benchmarks.run_times --rounds 1 --out DIR

Each is of a process of its own. A typo and a port that is taken: from its start to its exit, with the sentence said.
Ctrl-C at idle, and SIGTERM under 60 requests a second: from the signal to the exit, with no process left. At idle two
clients keep a connection, as a browser does: one from before HAProxy has routes, so that an older process of it has it.
Under load it counts the requests that were accepted and not answered: there should be none.
"""

import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import requests
import yaml

from configs.document import application, read
from pitstop import isolated_server, processes
from pitstop.measure import results
from pitstop.ports import Ports
from pitstop.report.markdown import table

from . import cache, script
from .steady_load import Outcomes

# The time that each may take, in seconds.
TARGETS_S = {"typo": 3.0, "port taken": 2.0, "Ctrl-C, two idle connections": 5.0, "SIGTERM under load": 5.0}
RATE_RPS, _LOADED_S, _START_S, _END_S = 60, 3.0, 300.0, 90.0
_BODY = {"inputs": [{"name": "image", "datatype": "UINT8", "shape": [1, 1, 8, 8], "data": [0] * 64}]}
_URL = "http://127.0.0.1:{}/v2/models/digits-cpu/infer"


def main() -> None:
    script.unwind_on_sigterm()
    parser = script.parser("benchmarks.run_times", __doc__)
    parser.add_argument("--rounds", type=int, default=5, help="how often each is measured")
    options = parser.parse_args()
    head = results.head(["python", "-m", "benchmarks.run_times", "--rounds", str(options.rounds)])
    print(write(options.out, head, measured(options.rounds)))


def measured(rounds: int) -> list[dict[str, Any]]:
    """Return a row for each of the four: seconds by round, and what was lost under load."""
    rows: list[dict[str, Any]] = [{"what": what, "target_s": target, "s": []} for what, target in TARGETS_S.items()]
    rows[-1] |= {"answered": 0, "refused": 0, "lost": []}
    for number in range(rounds):
        script.say(f"round {number + 1} of {rounds}")
        rows[0]["s"].append(_refused_s(_with_typo, "max_batch_siz: unknown key"))
        with socket.socket() as other:
            rows[1]["s"].append(_refused_s(lambda raw, other=other: _hold(raw, other), "is taken by process"))  # type: ignore[misc]
        rows[2]["s"].append(_ended_s(signal.SIGINT, None))
        outcomes = Outcomes()
        rows[3]["s"].append(_ended_s(signal.SIGTERM, outcomes))
        rows[3]["answered"] += outcomes.good
        rows[3]["refused"] += outcomes.refused
        rows[3]["lost"] += outcomes.lost
    return rows


def write(folder: Path, head: Mapping[str, Any], rows: list[dict[str, Any]]) -> str:
    """Write both files and return the table."""
    content = {"theme": "run-times", **head, "rate_rps": RATE_RPS, "rows": rows}
    text = _markdown(content, rows)
    results.write(folder, results.stem("run-times", content), content, text)
    return text


def _markdown(content: Mapping[str, Any], rows: list[dict[str, Any]]) -> str:
    loaded = rows[-1]
    lines = [
        "# How soon `pitstop run` says what is wrong, and ends",
        "",
        f"{results.told(content)} `{content['command']}`.",
        "",
        "Seconds from the start of the process to its exit, or from the signal to the exit with no process left.",
        f"Under {RATE_RPS} requests a second {loaded['answered']:,} were answered, {loaded['refused']:,} refused after "
        f"the signal, and {len(loaded['lost'])} accepted and lost.",
        "",
    ]
    shown = [
        [each["what"], f"{statistics.median(each['s']):.1f}", f"{max(each['s']):.1f}", f"{each['target_s']:g}"]
        for each in rows
    ]
    return "\n".join([*lines, *table(["what", "median, s", "longest, s", "target, s"], shown)])


def _with_typo(raw: dict[str, Any]) -> None:
    application(raw, "digits")["args"]["max_batch_siz"] = 64


def _hold(raw: dict[str, Any], other: socket.socket) -> None:
    other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    other.bind(("127.0.0.1", raw["http_options"]["port"]))
    other.listen()


@contextmanager
def pitstop_run(
    config: Path,
    edit: Callable[[dict[str, Any]], None] = lambda _: None,
    cwd: Path = cache.PROJECT,
    more_env: Mapping[str, str] | None = None,
) -> Iterator[tuple["subprocess.Popen[str]", str, int]]:
    """Start `pitstop run` on an edited copy, with ports of its own; yield it, its mark and its HTTP port."""
    # Sockets live below this folder, and their paths may have no more than 107 characters.
    with Ports() as ports, tempfile.TemporaryDirectory(prefix="pb-", ignore_cleanup_errors=True) as name:
        folder, mark, port = Path(name), processes.new_mark(), ports.one()
        raw = dict(read(config).raw)
        isolated_server.on_own_ports(raw, port, ports, folder)
        edit(raw)
        copy = folder / config.name
        copy.write_text(yaml.safe_dump(raw, sort_keys=False))
        argv = [sys.executable, "-m", "pitstop", "run", str(copy)]
        environment = {**isolated_server.environment(folder, mark), "TMPDIR": str(folder), **(more_env or {})}
        process = isolated_server.spawn(argv, environment, subprocess.PIPE, cwd)
        try:
            yield process, mark, port
        finally:
            processes.end(process, mark)


def running(edit: Callable[[dict[str, Any]], None]) -> AbstractContextManager[tuple["subprocess.Popen[str]", str, int]]:
    """Start `pitstop run` on the shipped config, edited, as pitstop_run does."""
    return pitstop_run(cache.PROJECT / "serve_config.yaml", edit)


def _refused_s(edit: Callable[[dict[str, Any]], None], sentence: str) -> float:
    began = time.monotonic()
    with running(edit) as (process, _, _):
        said, _ = process.communicate(timeout=_END_S)
        took_s = time.monotonic() - began
    if process.returncode != 1 or sentence not in said:
        raise RuntimeError(f"it ended with {process.returncode} and said:\n{said}")
    return took_s


def _ended_s(number: signal.Signals, load: Outcomes | None) -> float:
    with running(lambda _: None) as (process, mark, port), requests.Session() as early, requests.Session() as late:
        clients = None
        if load is None:
            _keep(early, port)
        until_ready(process)
        if load is None:
            _keep(late, port)
        else:
            ask = partial(load.ask, _URL.format(port), _BODY)
            clients = threading.Thread(target=load.put_load, args=(ask, RATE_RPS))
            clients.start()
        # At idle too: HAProxy and Serve have settled by then.
        time.sleep(_LOADED_S)
        began = time.monotonic()
        process.send_signal(number)
        process.wait(timeout=_END_S)
        left = processes.of(None, mark)
        took_s = time.monotonic() - began
        if load is not None and clients is not None:
            load.stop.set()
            clients.join()
    if left or process.returncode != 0:
        raise RuntimeError(f"it ended with {process.returncode}, and left: {', '.join(left.values())}")
    return took_s


def _keep(client: requests.Session, port: int) -> None:
    """Open a connection, once something listens; the client keeps it, whatever the answer is."""
    deadline = time.monotonic() + _START_S
    while time.monotonic() < deadline:
        try:
            client.get(f"http://127.0.0.1:{port}/", timeout=_END_S)
            return
        except requests.ConnectionError:
            time.sleep(0.1)
    raise RuntimeError(f"nothing listens on port {port}")


def until_ready(process: "subprocess.Popen[str]") -> None:
    """Return once it says that it is ready; what it prints after that is read and dropped."""
    assert process.stdout is not None
    said, deadline = "", time.monotonic() + _START_S
    for line in process.stdout:
        said += line
        if "Ready at" in line:
            # So that the pipe never fills.
            threading.Thread(target=process.stdout.read, daemon=True).start()
            return
        if time.monotonic() > deadline:
            break
    raise RuntimeError(f"it did not become ready:\n{said}")


if __name__ == "__main__":
    main()
