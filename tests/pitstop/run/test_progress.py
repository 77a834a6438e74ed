"""What is on its way is said after a few seconds, and only when it changes."""

from pitstop.run.progress import Progress

LINE = "\x1b[36m(ServeReplica:{app}:Model pid=1)\x1b[0m INFO pitstop: {app}: warms 7 shapes\n"


def test_what_is_over_within_seconds_is_not_said() -> None:
    progress = Progress(0)
    progress.at("m", "starts", 0)
    assert progress.due(1) == []
    progress.done("m")
    assert progress.due(60) == []


def test_a_step_is_said_once_with_how_long_it_has_taken() -> None:
    progress = Progress(0)
    progress.at("m", "starts", 1)
    assert progress.due(5) == ["m: starts (4 s)"]
    assert progress.due(20) == []


def test_what_a_replica_logs_is_its_step() -> None:
    progress = Progress(0)
    progress.at("m", "Ray starts its process", 0)
    progress.heard(LINE.format(app="m"))
    assert progress.due(4) == ["m: warms 7 shapes (4 s)"]


def test_lines_of_other_processes_and_of_ready_models_are_no_step() -> None:
    progress = Progress(0)
    progress.at("m", "starts", 0)
    for line in (
        LINE.format(app="other"),
        "(ServeController pid=3) INFO pitstop: no\n",
        "(ServeReplica:m:Model pid=1) hi\n",
    ):
        progress.heard(line)
    assert progress.due(4) == ["m: starts (4 s)"]


def test_lines_keep_a_distance() -> None:
    progress = Progress(0)
    progress.at("m", "first", 0)
    assert progress.due(3) != []
    progress.at("m", "second", 3)
    assert progress.due(4) == []
    assert progress.due(8) == ["m: second (8 s)"]
