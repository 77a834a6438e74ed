"""The config of each way of the benchmark of tracing."""

import yaml

from benchmarks.tracing_cost import WAYS, traced
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
