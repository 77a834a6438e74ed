"""The record of how long a network takes to an answer: seconds by command, and their sum beside the target."""

from pathlib import Path

from benchmarks.init_times import TARGET_S, write
from pitstop.measure import results


def test_the_table_has_each_command_and_the_sum_of_a_round(tmp_path: Path) -> None:
    rounds = [{"init": 10.0, "run": 20.0, "client": 1.0}, {"init": 12.0, "run": 20.0, "client": 2.0}]
    text = write(tmp_path, results.head(["python", "-m", "benchmarks.init_times"]), [{"what": "CNN", "rounds": rounds}])
    assert "| CNN | 11.0 | 20.0 | 1.5 | 32.5 | 34.0 |" in text
    assert f"the target is {TARGET_S:g} for all three" in text
    assert sorted(path.suffix for path in tmp_path.iterdir()) == [".json", ".md"]
