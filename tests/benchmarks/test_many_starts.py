"""The record of how long several models take to start."""

import argparse
from pathlib import Path

import pytest

from benchmarks.many_starts import BY_SERVE, SHIPPED, _counts, _part, write
from pitstop.measure import results


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


def test_numbers_of_models_are_at_least_one() -> None:
    assert _counts("1,8") == (1, 8)
    with pytest.raises(argparse.ArgumentTypeError, match="are 1 or more"):
        _counts("0")
