"""A real Prometheus with the config and the rules of configs/monitoring, which the tests run too."""

import math
import shutil
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import requests
import yaml

from pitstop.ports import free_port
from pitstop.project import PROJECT

FOLDER = PROJECT / "configs" / "monitoring"
RULES, CONFIG = FOLDER / "rules.yml", FOLDER / "prometheus.yml"
MISSING = "prometheus is not installed\nhelp: apt-get install prometheus"
_START_S = 60.0


class Span(NamedTuple):
    """The times of a query: from `start_s` to `end_s`, seconds since 1970, every `step_s`."""

    start_s: int
    end_s: int
    step_s: int

    def times(self) -> range:
        return range(self.start_s, self.end_s + 1, self.step_s)


class Prometheus:
    """Asks a running Prometheus."""

    def __init__(self, url: str) -> None:
        self.url = url

    def ask(self, query: str) -> list[dict[str, Any]]:
        """Return the result of an instant query."""
        return self._asked("query", query=query)

    def ask_range(self, query: str, span: Span) -> list[tuple[dict[str, str], list[float | None]]]:
        """Return each series with its labels and a value for each time of the span; None is none, or NaN."""
        found = self._asked("query_range", query=query, start=span.start_s, end=span.end_s, step=span.step_s)
        return [(each["metric"], _at(each["values"], span.times())) for each in found]

    def up(self) -> bool:
        try:
            return requests.get(f"{self.url}/-/ready", timeout=5).ok
        except requests.ConnectionError:
            return False

    def _asked(self, kind: str, **params: Any) -> list[dict[str, Any]]:
        answer = requests.get(f"{self.url}/api/v1/{kind}", params=params, timeout=10)
        if not answer.ok:
            raise RuntimeError(f"{params['query']}\n{answer.text}")
        found: list[dict[str, Any]] = answer.json()["data"]["result"]
        return found


@contextmanager
def prometheus(discovery: Path, folder: Path, every_s: int | None = None) -> Iterator[Prometheus]:
    """Run a Prometheus that scrapes the nodes of Ray's discovery file, and keeps its data below `folder`.

    Args:
        discovery: the file; it need not be there yet.
        folder: an empty folder.
        every_s: how often it scrapes; None for the shipped config's interval.

    Raises:
        FileNotFoundError: Prometheus is not installed.
    """
    program = shutil.which("prometheus")
    if program is None:
        raise FileNotFoundError(MISSING)
    raw = yaml.safe_load(CONFIG.read_text(encoding="utf-8"))
    if every_s is not None:
        raw["global"] = {"scrape_interval": f"{every_s}s", "evaluation_interval": f"{every_s}s"}
    raw["rule_files"] = [str(RULES)]
    raw["scrape_configs"][0]["file_sd_configs"] = [{"files": [str(discovery)], "refresh_interval": "1s"}]
    config = folder / "prometheus.yml"
    config.write_text(yaml.safe_dump(raw))
    port = free_port()
    command = [program, f"--config.file={config}", f"--storage.tsdb.path={folder / 'data'}"]
    command += [f"--web.listen-address=127.0.0.1:{port}", "--log.level=warn"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.STDOUT)
    try:
        found = Prometheus(f"http://127.0.0.1:{port}")
        deadline = time.monotonic() + _START_S
        while not found.up():
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError("prometheus does not answer")
            time.sleep(0.1)
        yield found
    finally:
        process.terminate()
        process.wait(30)


def _at(pairs: Sequence[tuple[float, str]], times: range) -> list[float | None]:
    values = {round(at_s): float(value) for at_s, value in pairs}
    found = (values.get(at_s, math.nan) for at_s in times)
    return [value if math.isfinite(value) else None for value in found]
