"""A real Prometheus scrapes a server under load, and every expression of the board and the rules returns data."""

import math
from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest
import requests

from benchmarks.board.panels import filled
from benchmarks.board.prometheus import Prometheus, prometheus
from configs.document import application
from tests.e2e.clients import Load, loaded
from tests.e2e.conftest import model
from tests.monitoring import Expression, board, operands, rules, tool
from tests.serving import PROJECT, SHORT, Serving, serve_run, wait_until

pytestmark = pytest.mark.ray


def two_models(raw: dict[str, Any]) -> None:
    targets = {"targets": {"p99_ms": 500, "queue_ms": 100}}
    raw["applications"] = [application(raw, "root"), model("one", targets, ms=5), model("two", targets, ms=5)]


@pytest.fixture(scope="module")
def scraped(
    cache: object,  # noqa: ARG001
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[tuple[Serving, Prometheus]]:
    tool("prometheus")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_metrics_report_interval_ms", "1000")  # Ray's default is 10 s.
        with serve_run(PROJECT / "serve_config.yaml", SHORT, two_models) as serving:
            [discovery] = [serving.folder / "ray" / "prom_metrics_service_discovery.json"]
            wait_until(discovery.exists, "Ray wrote no list of its nodes")
            with prometheus(discovery, tmp_path_factory.mktemp("prometheus"), every_s=1) as found:
                yield serving, found


def test_before_the_first_request_counters_are_0_and_what_was_not_measured_is_absent(
    scraped: tuple[Serving, Prometheus],
) -> None:
    _, found = scraped
    wait_until(lambda: len(found.ask("ray_pitstop_info")) == 2, "a replica has no metrics")
    for name in ("requests", "rows", "forwards", "padding_rows", "unwarmed_shapes", "out_of_memory"):
        assert values(found, f"ray_pitstop_{name}_total") == [0, 0], name
    errors = found.ask("sum by (kind) (ray_pitstop_errors_total)")
    assert {each["metric"]["kind"]: float(each["value"][1]) for each in errors}["not_finite"] == 0
    assert values(found, "ray_pitstop_healthy") == [1, 1]
    assert values(found, "ray_pitstop_queue_rows") == [0, 0]
    assert values(found, "ray_pitstop_queue_limit_rows") == [1024, 1024]
    assert found.ask("ray_pitstop_efficiency") == []


def test_under_load_every_expression_of_the_board_and_of_the_rules_returns_data(
    scraped: tuple[Serving, Prometheus],
) -> None:
    serving, found = scraped
    queries = board() + rules("record")
    queries += [Expression(alert.where, part) for alert in rules("alert") for part in operands(alert.query)]
    with loaded(Load(f"{serving.model('one')}/infer"), 8), loaded(Load(f"{serving.model('two')}/infer"), 8):
        for name in ("one", "two"):
            assert requests.post(f"{serving.model(name)}/infer", data=b"no JSON", timeout=10).status_code == 400
        for each in queries:
            wait_until(partial(data, found, each), f"no data: {each}", within_s=60)


def data(found: Prometheus, each: Expression) -> bool:
    result = found.ask(filled(each.query, source=network(found)))
    return any(not math.isnan(float(series["value"][1])) for series in result)


def network(found: Prometheus) -> str:
    """Return the label that both models have, since they are the same network."""
    [source] = {str(each["metric"]["source"]) for each in found.ask("ray_pitstop_info")}
    return source


def values(found: Prometheus, query: str) -> list[float]:
    return [float(each["value"][1]) for each in found.ask(query)]
