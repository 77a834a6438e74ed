"""A real Prometheus for the rules and the board of configs/monitoring, and what their expressions return.

    python -m tests.monitoring http://127.0.0.1:9090

prints the board of a running Prometheus as a table: where no Grafana is, this is its picture.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import requests
import yaml
from rich.console import Console
from rich.table import Table

from pitstop.ports import free_port
from pitstop.project import PROJECT

FOLDER = PROJECT / "configs" / "monitoring"
BOARD, RULES, CONFIG = FOLDER / "grafana" / "dashboard.json", FOLDER / "rules.yml", FOLDER / "prometheus.yml"
_NAME = re.compile(r"\b(?:ray_\w+|pitstop:[\w:]+|up\b)")
_COMPARED = re.compile(r"\s(?:>|<|==|unless)\s(?:on \([\w, ]+\) )?")


class Expression(NamedTuple):
    """A query of the board or of the rules, and where it stands."""

    where: str
    query: str


def tool(name: str) -> str:
    """Return the path of a command of Debian's package `prometheus`; skip the test without it, but fail in CI."""
    found = shutil.which(name)
    if found is None:
        missing = pytest.fail if os.environ.get("CI") == "true" else pytest.skip
        missing(f"{name} is not installed: apt-get install prometheus")
    return found


def board() -> list[Expression]:
    """Return the queries of the board's panels."""
    panels: list[dict[str, Any]] = json.loads(BOARD.read_text(encoding="utf-8"))["panels"]
    return [Expression(each["title"], target["expr"]) for each in panels for target in each.get("targets", ())]


def rules(kind: str) -> list[Expression]:
    """Return the expressions of the rules of a kind, `record` or `alert`."""
    groups = yaml.safe_load(RULES.read_text(encoding="utf-8"))["groups"]
    return [Expression(rule[kind], rule["expr"]) for group in groups for rule in group["rules"] if kind in rule]


def metrics_in(query: str) -> set[str]:
    """Return the names of the metrics and of the recorded values that a query reads."""
    return set(_NAME.findall(query))


def operands(query: str) -> list[str]:
    """Return both sides of an alert's comparison; numbers are none."""
    return [each for part in _COMPARED.split(query) if metrics_in(each := part.strip())]


class Prometheus:
    """Asks a running Prometheus."""

    def __init__(self, url: str) -> None:
        self.url = url

    def ask(self, query: str, **variables: str) -> list[dict[str, Any]]:
        """Return the result of an instant query, with the board's variables replaced."""
        values = {"application": ".*", "__rate_interval": "1m", "__all": ".*", **variables}
        for name, value in values.items():
            query = query.replace(f"${name}", value)
        answer = requests.get(f"{self.url}/api/v1/query", params={"query": query}, timeout=10)
        assert answer.ok, f"{query}\n{answer.text}"
        found: list[dict[str, Any]] = answer.json()["data"]["result"]
        return found

    def up(self) -> bool:
        try:
            return requests.get(f"{self.url}/-/ready", timeout=5).ok
        except requests.ConnectionError:
            return False

    def table(self, source: str) -> Table:
        """Return the board as a table: each panel's series and their values now."""
        table = Table("panel", "series", "value")
        for each in board():
            for series in self.ask(each.query, source=source) or [{"metric": {}, "value": (0, "no data")}]:
                labels = " ".join(value for key, value in sorted(series["metric"].items()) if key in _SHOWN)
                table.add_row(each.where, labels, str(series["value"][1])[:9])
        return table


_SHOWN = ("application", "deployment", "device", "kind")


@contextmanager
def prometheus(discovery: Path, folder: Path, every_s: int = 1) -> Iterator[Prometheus]:
    """Run a Prometheus with the shipped config and rules, which scrapes the nodes of Ray's discovery file."""
    raw = yaml.safe_load(CONFIG.read_text(encoding="utf-8"))
    raw["global"] = {"scrape_interval": f"{every_s}s", "evaluation_interval": f"{every_s}s"}
    raw["rule_files"] = [str(RULES)]
    raw["scrape_configs"][0]["file_sd_configs"] = [{"files": [str(discovery)], "refresh_interval": "1s"}]
    config = folder / "prometheus.yml"
    config.write_text(yaml.safe_dump(raw))
    port = free_port()
    command = [tool("prometheus"), f"--config.file={config}", f"--storage.tsdb.path={folder / 'data'}"]
    command += [f"--web.listen-address=127.0.0.1:{port}", "--log.level=warn"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.STDOUT)
    found = Prometheus(f"http://127.0.0.1:{port}")
    try:
        deadline = time.monotonic() + 60
        while not found.up():
            assert process.poll() is None, "prometheus ended"
            assert time.monotonic() < deadline, "prometheus does not answer"
            time.sleep(0.1)
        yield found
    finally:
        process.terminate()
        process.wait(30)


if __name__ == "__main__":
    asked = Prometheus(sys.argv[1])
    for network in sorted({each["metric"]["source"] for each in asked.ask("ray_pitstop_info")}):
        Console(width=140).print(network, asked.table(network))
