"""Exit statuses, outputs and errors of `pitstop audit`; every measurement here is made up."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from rich.console import Console
from typer.testing import CliRunner

from configs.loader import ModelApp
from configs.problems import Keys
from models.errors import ModelError
from pitstop.audit.audit_result import AuditResult, Budget, ExamineModel
from pitstop.audit.main import AuditOptions, audit
from pitstop.cli import app
from pitstop.measure import hardware
from tests.pitstop.audit_fakes import MISTAKES, PROJECT, edited, examined_as

SHIPPED = [PROJECT / "serve_config.yaml", *sorted((PROJECT / "configs").glob("[!p]*.yaml"))]
SERVED = [path for path in SHIPPED if "deployments.app:model" in path.read_text(encoding="utf-8")]


@pytest.fixture(autouse=True)
def no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hardware, "has_gpu", lambda: False)


def run(path: Path, seen: ExamineModel | None = None, **keys: object) -> tuple[int, str]:
    console = Console(width=80, highlight=False)
    with console.capture() as capture:
        status = audit(AuditOptions(path, **keys), console, seen or examined_as())  # type: ignore[arg-type]  # Tests name its fields.
    return status, capture.get()


@pytest.mark.parametrize("path", SERVED, ids=lambda path: path.stem)
def test_the_shipped_configs_are_clean(path: Path) -> None:
    status, output = run(path)
    assert status == 0, output
    assert "MISTAKE" not in output
    assert "none of the five mistakes" in output


@pytest.mark.parametrize(
    "name, mistake, key, fix",
    [
        ("open_shapes", 2, "args", "lengths: ["),
        ("eager", 3, "args.backend", "backend: auto"),
        ("cpu_fleet", 4, "autoscaling_config.max_replicas", "device: auto"),
        ("one_by_one", 5, "args.max_batch_size", "max_batch_size: 64"),
        ("starved", 5, "max_ongoing_requests", "max_ongoing_requests: 1024"),
    ],
)
def test_a_config_that_makes_a_mistake_is_caught(name: str, mistake: int, key: str, fix: str) -> None:
    path = MISTAKES / f"{name}.yaml"
    status, output = run(path)
    assert status == 1
    assert f"MISTAKE {mistake} {path}:" in output
    assert f"{key}\n" in output
    assert f"fix:  {fix}" in output
    assert output.count("MISTAKE") == 1


def test_a_finding_points_at_the_line_of_its_key() -> None:
    path = MISTAKES / "eager.yaml"
    line = 1 + path.read_text(encoding="utf-8").splitlines().index("      backend: eager")
    assert f"MISTAKE 3 {path}:{line} applications[1] (digits).args.backend" in run(path)[1]


def test_json_is_all_that_is_printed_and_says_what_the_table_says(capsys: pytest.CaptureFixture[str]) -> None:
    status, table = run(MISTAKES / "eager.yaml", written=Path("-"))
    found = json.loads(capsys.readouterr().out)
    assert (status, table, found["exit_code"]) == (1, "", 1)
    assert found["models"][0]["findings"][0]["mistake"] == 3
    assert [each["made"] for each in found["models"][0]["mistakes"]] == [False, False, True, False, False]
    assert found["models"][0]["steps"][0]["items_s"] == 250
    assert set(found["hardware"]) >= {"cpu", "cores", "gpu", "slug"}


def test_json_to_a_file_leaves_the_table_on_the_terminal(tmp_path: Path) -> None:
    status, table = run(MISTAKES / "eager.yaml", written=tmp_path / "x.json")
    assert status == json.loads((tmp_path / "x.json").read_text())["exit_code"] == 1
    assert "MISTAKE 3" in table
    status, output = run(MISTAKES / "eager.yaml", written=tmp_path / "no" / "x.json")
    assert status == 2
    assert "there is no such folder\nhelp: make it first" in output


def test_a_mistake_that_the_schema_refuses_is_json_too(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(MISTAKES / "open_shapes.yaml", written=Path("-"))[0] == 1
    assert json.loads(capsys.readouterr().out)["findings"][0]["mistake"] == 2


@pytest.mark.parametrize(
    "edit, said",
    [
        (("max_batch_size: 64", "max_batch_size: 0"), "max_batch_size"),
        (("deployments.app:model", "mine:model"), "serves no model"),
    ],
)
def test_a_config_that_cannot_be_used_ends_with_2(tmp_path: Path, edit: tuple[str, str], said: str) -> None:
    status, output = run(edited(tmp_path, MISTAKES / "eager.yaml", edit))
    assert status == 2
    assert said in output
    assert "help: " in output


def test_a_missing_file_and_an_unknown_model_end_with_2_and_a_way_out(tmp_path: Path) -> None:
    assert run(tmp_path / "gone.yaml")[0] == 2
    status, output = run(PROJECT / "serve_config.yaml", name="digit")
    assert status == 2
    assert "did you mean 'digits'?" in output


def test_a_model_that_cannot_be_loaded_ends_with_2_and_the_others_are_still_shown() -> None:
    def broken(app: ModelApp, keys: Keys, budget: Budget) -> Iterator[AuditResult]:
        if app.config.name == "resnet50":
            raise ModelError("weights.pt: no such file\nhelp: check the path")
        yield from examined_as()(app, keys, budget)

    status, output = run(PROJECT / "configs/resnet50.yaml", broken)
    assert status == 2
    assert "weights.pt: no such file\nhelp: check the path" in output
    assert "resnet50-cpu: none of the five mistakes" in output


def test_ctrl_c_shows_what_was_measured_so_far() -> None:
    def stopped(app: ModelApp, keys: Keys, budget: Budget) -> Iterator[AuditResult]:
        yield from examined_as()(app, keys, budget)
        raise KeyboardInterrupt

    status, output = run(PROJECT / "serve_config.yaml", stopped)
    assert status == 130
    assert "train" in output
    assert "stopped by Ctrl-C" in output


def test_twins_are_measured_once_and_a_fallback_is_told_loudly() -> None:
    calls: list[str] = []

    def counting(app: ModelApp, keys: Keys, budget: Budget) -> Iterator[AuditResult]:
        calls.append(app.config.name)
        yield from examined_as()(app, keys, budget)

    _, output = run(PROJECT / "serve_config.yaml", counting)
    assert calls == ["digits"]
    assert "measured as digits" in output
    assert "warning 4" in output
    assert "auto found no GPU" in output


def test_a_gpu_model_without_a_gpu_is_said_to_be_unmeasured() -> None:
    status, output = run(PROJECT / "configs/cluster.yaml")
    assert status == 0
    assert "device: cuda is a GPU or nothing" in output
    assert run(PROJECT / "configs/cluster.yaml", name="resnet50")[0] == 2


def test_the_table_fits_80_columns() -> None:
    _, output = run(PROJECT / "serve_config.yaml", name="digits")
    table = [line for line in output.splitlines() if not line.startswith(("warning", "hint", "  "))]
    assert max(len(line) for line in table) <= 80


def test_the_report_stands_alone(tmp_path: Path) -> None:
    folder = tmp_path / "report"
    run(MISTAKES / "eager.yaml", report=folder)
    page = (folder / "audit.html").read_text(encoding="utf-8")
    assert 'src="data:image/png;base64,' in page
    assert not any(word in page for word in ("http://", "https://", "<script", "@import", "url("))
    assert "backend: auto" in page
    assert (folder / "digits.png").read_bytes().startswith(b"\x89PNG")
    assert json.loads((folder / "audit.json").read_text())["exit_code"] == 1


def test_a_report_that_cannot_be_written_ends_with_2(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    status, output = run(MISTAKES / "eager.yaml", report=tmp_path / "file")
    assert status == 2
    assert "help: name another folder" in output


def test_help_gives_an_example() -> None:
    result = CliRunner().invoke(app, ["audit", "--help"])
    assert result.exit_code == 0
    assert "pitstop audit serve_config.yaml" in result.output
