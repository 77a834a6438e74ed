"""`pitstop plan` from the command line, on a profile that is given: no model is started."""

import json
import shutil
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from configs.loader import check
from pitstop.cli import app
from pitstop.plan import choose

PROJECT = Path(__file__).resolve().parents[2]
FORWARD_MS = {"1": [8, 9], "2": [9, 10], "4": [12, 13], "8": [18, 20], "16": [30, 33], "32": [55, 60], "64": [100, 110]}


@pytest.fixture(autouse=True)
def short_simulations(monkeypatch: pytest.MonkeyPatch) -> None:
    """A fifth of the arrivals: choices stay what they are, and only their last digits need more."""
    monkeypatch.setattr(choose, "_SEARCH_ARRIVALS", 2_000)
    monkeypatch.setattr(choose, "_FINAL_ARRIVALS", 4_000)


@pytest.fixture
def config(tmp_path: Path) -> Path:
    return Path(shutil.copy(PROJECT / "serve_config.yaml", tmp_path / "serve_config.yaml"))


@pytest.fixture
def profile(tmp_path: Path) -> Path:
    path = tmp_path / "profile.json"
    path.write_text(json.dumps({"device": "cpu", "forward_ms": FORWARD_MS}))
    return path


def plan(*arguments: object) -> tuple[int, str]:
    result = CliRunner().invoke(app, ["plan", *(str(argument) for argument in arguments)])
    return result.exit_code, result.output


def deployment(config: Path, index: int) -> dict[str, object]:
    found: dict[str, object] = yaml.safe_load(config.read_text())["applications"][index]["deployments"][0]
    return found


def test_a_plan_is_shown_and_the_file_is_left_alone(config: Path, profile: Path) -> None:
    before = config.read_text()
    status, output = plan(config, "--model", "digits-cpu", "--rate", 800, "--slo-ms", 100, "--profile", profile)
    assert status == 0, output
    for text in ("forward p50", "800 requests a second", "replicas", "autoscaling:", "+        num_replicas:"):
        assert text in output
    assert "--write makes the change" in output
    assert config.read_text() == before


def test_write_changes_this_model_alone_and_keeps_every_comment(config: Path, profile: Path) -> None:
    comments = [line.partition("#")[2] for line in config.read_text().splitlines() if "#" in line]
    arguments = ("--model", "digits", "--rate", 2000, "--slo-ms", 100, "--profile", profile, "--write")
    status, output = plan(config, *arguments)
    assert status == 0, output
    digits, twin = deployment(config, 1), deployment(config, 2)
    assert isinstance(digits["num_replicas"], int)
    assert digits["num_replicas"] > 1
    assert twin["num_replicas"] == 1
    assert [line.partition("#")[2] for line in config.read_text().splitlines() if "#" in line] == comments
    assert [problem for _, problem in check(config)[1] if problem.severity == "error"] == []


def test_the_rows_of_the_plan_are_written_even_where_the_model_was_warmed_for_just_as_many(
    config: Path, profile: Path
) -> None:
    # Without the key a replica chooses by its own timing, and the plan would be for another batcher.
    forwards = {size: [10.0, 10.1] for size in FORWARD_MS}
    profile.write_text(json.dumps({"device": "cpu", "forward_ms": forwards}))
    arguments = ("--model", "digits", "--rate", 500, "--slo-ms", 100, "--profile", profile, "--write")
    status, output = plan(config, *arguments)
    assert status == 0, output
    tunables = deployment(config, 1)["user_config"]
    assert isinstance(tunables, dict)
    assert tunables["max_batch_size"] == 64
    assert "max_batch_size" not in deployment(config, 2)["user_config"]  # type: ignore[operator]
    assert "is set so already" in plan(config, *arguments)[1]


def test_autoscale_writes_bounds_that_serve_takes(config: Path, profile: Path) -> None:
    arguments = ("--model", "digits", "--rate", 2000, "--slo-ms", 100, "--profile", profile)
    status, output = plan(config, *arguments, "--autoscale", "--write")
    assert status == 0, output
    found = deployment(config, 1)
    assert found["num_replicas"] == "auto"
    scaling = found["autoscaling_config"]
    assert isinstance(scaling, dict)
    assert scaling["min_replicas"] <= scaling["initial_replicas"] <= scaling["max_replicas"]
    assert scaling["target_ongoing_requests"] > 0
    assert [problem for _, problem in check(config)[1] if problem.severity == "error"] == []


def test_prices_are_of_the_reserved_cores_and_shown_an_hour_and_a_million(config: Path, profile: Path) -> None:
    arguments = ("--model", "digits-cpu", "--rate", 100, "--slo-ms", 100, "--profile", profile)
    status, output = plan(config, *arguments, "--price-cpu", 0.5)
    assert status == 0
    assert "0.25 usd an hour, 0.6944 a million requests" in output


def test_an_impossible_target_ends_with_1_and_says_what_is_possible(config: Path, profile: Path) -> None:
    arguments = ("--model", "digits", "--rate", 10, "--slo-ms", 5, "--profile", profile)
    status, output = plan(config, *arguments)
    assert status == 1
    assert "no setting keeps p99 within 5 ms: a request that meets no other takes 9" in output
    assert "help: " in output


@pytest.mark.parametrize(
    "arguments, what",
    [
        (["--rate", 10, "--slo-ms", 50], "serves digits, digits-cpu\nhelp: choose one with --model"),
        (["--model", "digit", "--rate", 10, "--slo-ms", 50], "has no model 'digit'\nhelp: did you mean 'digits'?"),
        (["--model", "digits", "--rate", 0, "--slo-ms", 50], "--rate is 0\nhelp: it must be above 0"),
        (["--model", "digits", "--rate", 9, "--slo-ms", 50, "--profile", "gone"], "gone: cannot be read"),
        (["--model", "digits", "--rate", 9, "--slo-ms", 50, "--price-cpu", -1], "a price is below 0"),
        (["--model", "digits", "--rate", 9, "--slo-ms", 50, "--url", "http://x"], "--url is where to verify"),
        (
            ["--model", "digits", "--rate", 9, "--slo-ms", 50, "--profile", "http://127.0.0.1:9/v2/models/digits"],
            "gives no metadata of a model (ConnectionError)",
        ),
    ],
)
def test_what_cannot_be_planned_ends_with_2_and_a_way_out(config: Path, arguments: list[object], what: str) -> None:
    status, output = plan(config, *arguments)
    assert status == 2
    assert what in output
    assert "help: " in output


def test_a_profile_of_another_model_is_refused(config: Path, tmp_path: Path) -> None:
    path = tmp_path / "other.json"
    path.write_text(json.dumps({"model": "resnet50", "device": "cpu", "forward_ms": FORWARD_MS}))
    status, output = plan(config, "--model", "digits", "--rate", 9, "--slo-ms", 50, "--profile", path)
    assert status == 2
    assert "is a profile of resnet50, not of digits" in output


def test_a_server_that_batches_otherwise_than_planned_is_not_measured(
    config: Path, profile: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Other:
        device, max_batch_size = "cpu", 3

        def __init__(self, *_: object) -> None:
            pass

    monkeypatch.setattr("pitstop.plan.verification_run.Verifier", Other)
    arguments = ("--model", "digits-cpu", "--rate", 100, "--slo-ms", 100, "--profile", profile)
    status, output = plan(config, *arguments, "--verify", "--url", "http://127.0.0.1:9")
    assert status == 2
    assert "the server puts up to 3 rows into a forward, the plan" in output
    assert "help: " in output


def test_help_gives_an_example() -> None:
    status, output = plan("--help")
    assert status == 0
    assert "pitstop plan serve_config.yaml --model digits-cpu" in output
