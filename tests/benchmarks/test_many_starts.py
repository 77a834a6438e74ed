"""The record of how long several models take to start."""

import argparse
import importlib
from pathlib import Path

import pytest
import yaml

from benchmarks.many_starts import BY_SERVE, SHIPPED, _counts, _edit, _part, write
from configs.document import application
from deployments.ray_compat import builds, haproxy
from pitstop.measure import results
from tests.serving import PROJECT


def test_the_table_has_a_row_for_each_number_and_way_with_the_cpu_time_by_part(tmp_path: Path) -> None:
    cpu_s = {"builds": 2.0, "replicas": 30.0, "rest": 20.0}
    rows = [{"models": 8, "way": way, "s": [40.0, 30.0, 35.0], "cpu_s": [cpu_s] * 3} for way in (SHIPPED, BY_SERVE)]
    text = write(tmp_path, results.head(["python", "-m", "benchmarks.many_starts"]), rows)
    assert "| 8 | as shipped | 35.0 | 30.0 to 40.0 | 2.0 | 30.0 | 20.0 |" in text
    assert "| 8 | built by Serve | 35.0 |" in text
    assert sorted(path.suffix for path in tmp_path.iterdir()) == [".json", ".md"]


@pytest.mark.parametrize(
    "line, part",
    [
        ("ray::ServeReplica:m0:Model", "replicas"),
        ("ray::ApplicationBuilder.build", "builds"),
        ("ray::build_serve_application", "builds"),
        ("ray::IDLE", "builds"),
        ("ray::ServeController", "rest"),
        ("/x/gcs_server --a=b", "rest"),
    ],
)
def test_a_process_is_counted_under_its_part(line: str, part: str) -> None:
    assert _part(line) == part


@pytest.mark.parametrize("way, shared", [(SHIPPED, True), (BY_SERVE, False)])
def test_only_who_builds_the_applications_differs(way: str, shared: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    raw = yaml.safe_load((PROJECT / "serve_config.yaml").read_text())
    _edit(raw, 2, way)
    assert [each["name"] for each in raw["applications"]] == ["root", "m0", "m1"]
    called = list[str]()
    monkeypatch.setattr(haproxy, "replace_manager", lambda: called.append("manager"))
    monkeypatch.setattr(builds, "share_process", lambda: called.append("builds"))
    owners = [raw["controller_options"], application(raw, "m0")]
    [callback] = {each["runtime_env"]["env_vars"]["RAY_SERVE_CONTROLLER_CALLBACK_IMPORT_PATH"] for each in owners}
    module, _, function = callback.partition(":")
    getattr(importlib.import_module(module), function)()
    assert called == ["manager", *(["builds"] if shared else [])]


def test_numbers_of_models_are_at_least_one() -> None:
    assert _counts("1,8") == (1, 8)
    with pytest.raises(argparse.ArgumentTypeError, match="are 1 or more"):
        _counts("0")
