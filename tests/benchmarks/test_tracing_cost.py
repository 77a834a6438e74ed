"""The config of each way of the benchmark of tracing, and what it says of their rates."""

import pytest
import yaml

from benchmarks.results import Closed
from benchmarks.summary import Round
from benchmarks.tracing_cost import NOT_TRACED, SAMPLED, WAYS, lost, traced
from configs.document import application
from pitstop.project import PROJECT


def test_a_way_without_tracing_is_the_shipped_config_and_the_others_differ_in_tracing_alone() -> None:
    shipped = yaml.safe_load((PROJECT / "configs" / "mlp.yaml").read_text())
    for share in WAYS.values():
        raw = yaml.safe_load((PROJECT / "configs" / "mlp.yaml").read_text())
        traced(raw, "mlp", share, 4318)
        found = application(raw, "mlp")["args"].pop("tracing", None)
        wanted = None if share is None else {"endpoint": "http://127.0.0.1:4318", "sample": share}
        assert found == wanted
        assert raw == shipped


def test_the_loss_is_the_median_over_the_rounds_at_the_most_connections() -> None:
    def way(*rates: float) -> list[Closed]:
        return [Closed(1, [Round(1, 1, 1, 1, 0)] * len(rates)), Closed(64, [Round(rate, 1, 1, 1, 0) for rate in rates])]

    assert lost({NOT_TRACED: way(100, 200, 100), SAMPLED: way(99, 190, 100)}, SAMPLED) == pytest.approx(0.01)
