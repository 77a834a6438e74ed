"""The audit in a process of its own, on tiny models: whatever a step does to it, the report comes."""

import json
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
import torch

from configs.loader import ModelApp
from configs.problems import Keys
from models.compile.machine import has_bf16
from pitstop.audit import isolated
from pitstop.audit.audit_result import AuditResult, Budget
from pitstop.audit.main import AuditOptions, audit
from tests.models.networks import Linear
from tests.pitstop.audit_fakes import MISTAKES, edited, examined_as

CRASHING = "tests.pitstop.mistakes.crashing"
FAST = Budget(0.002, quick=True)


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PITSTOP_CACHE", str(tmp_path / "cache"))


def config(folder: Path, network: str, *edits: tuple[str, str]) -> Path:
    sizes = ("shape: [-1, 4]", "shape: [-1, 8]"), ("shape: [-1, 2]", "shape: [-1, 8]")
    source = ("tests.models.networks:RecordsGradients", f"{CRASHING}:{network}")
    return edited(
        folder, MISTAKES / "records_gradients.yaml", source, *sizes, ("backend: eager", "backend: torchscript"), *edits
    )


def in_child(app: ModelApp, keys: Keys, _: Budget) -> Iterator[AuditResult]:
    yield from isolated.examine_model(app, keys, FAST)


def here(app: ModelApp, keys: Keys, _: Budget) -> Iterator[AuditResult]:
    yield from isolated.examine_here(app, keys, FAST)


def audited(path: Path, capsys: pytest.CaptureFixture[str], seen: Any) -> tuple[int, dict[str, Any]]:
    status = audit(AuditOptions(path, written=Path("-")), examine_model=seen)
    return status, json.loads(capsys.readouterr().out)["models"][0]


def test_a_step_that_ends_the_process_is_left_out_and_all_others_are_measured(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    status, found = audited(config(tmp_path, "CrashesInBf16"), capsys, in_child)
    skipped = {step["label"]: step["skipped"] for step in found["steps"] if step["skipped"]}
    assert status == 0
    assert skipped["TorchScript, bf16"] == "ended the process with signal 11 (SIGSEGV)"
    measured = [step["key"] for step in found["steps"] if step["timing"]]
    assert {"train", "inference_mode", "batch-8", "shapes-new"} < set(measured)


@pytest.mark.skipif(not has_bf16(), reason="on this processor a start does not try bf16, in which the network crashes")
def test_where_a_candidate_ends_the_process_a_start_is_told_to_name_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    free = ("backend: torchscript", "precision: auto\n      accept: {tolerance: 0.05}")
    status, found = audited(config(tmp_path, "CrashesInBf16", free), capsys, in_child)
    assert status == 1
    assert "comparing its candidates ended the process with signal 11 (SIGSEGV)" in found["findings"][0]["what"]
    assert found["findings"][0]["fix"].startswith("name a backend and a precision")


def test_a_model_that_ends_every_process_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status, found = audited(config(tmp_path, "Exits"), capsys, in_child)
    assert status == 1
    assert found["verdict"] == "a start refuses this config"
    assert "exit status 3" in found["findings"][0]["what"]


def test_where_eager_fails_in_a_precision_nothing_is_compiled_in_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _, found = audited(config(tmp_path, "FailsInBf16"), capsys, here)
    [step] = [step for step in found["steps"] if step["label"] == "TorchScript, bf16"]
    assert step["skipped"].startswith("eager fails in bf16 already, so no other way is tried")


def test_a_forward_that_loops_over_its_rows_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _, found = audited(config(tmp_path, "LoopsOverRows"), capsys, here)
    assert [each for each in found["findings"] if "loop over its rows" in each["what"]]
    _, found = audited(config(tmp_path, "Linear"), capsys, here)
    assert not [each for each in found["findings"] if "loop over its rows" in each["what"]]


@pytest.mark.parametrize(
    "edit",
    [
        ("name: y, datatype: FP32, shape: [-1, 8]", "name: y, datatype: INT64, shape: [-1, 8]"),
        ("name: y, datatype: FP32, shape: [-1, 8]", "name: y, datatype: FP32, shape: [-1, 7]"),
        ("name: x, datatype: FP32, shape: [-1, 8]", "name: x, datatype: FP32, shape: [-1, 9]"),
    ],
)
def test_what_a_start_refuses_is_a_finding_and_ends_with_1(
    edit: tuple[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    status, found = audited(config(tmp_path, "Linear", edit), capsys, here)
    assert status == 1
    assert found["findings"][0]["severity"] == "refusal"
    assert "none of the five mistakes" not in found["verdict"]


def test_where_nothing_finite_is_compared_nothing_passes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status, found = audited(config(tmp_path, "AnswersNan"), capsys, here)
    assert status == 1
    assert "answers no finite number" in found["findings"][0]["what"]
    assert all(step["timing"] is None for step in found["steps"] if step["kind"] == "batch" and step["rows"] > 1)


@pytest.mark.parametrize("kind", ["torchscript", "exported_program"])
def test_a_file_is_audited_as_well_as_a_factory(kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    module, rows = Linear().eval(), torch.randn(2, 4)
    file = tmp_path / ("model.pt" if kind == "torchscript" else "model.pt2")
    if kind == "torchscript":
        torch.jit.trace(module, rows).save(str(file))  # type: ignore[no-untyped-call]
    else:
        open_rows = {0: torch.export.Dim("rows", min=1)}
        torch.export.save(torch.export.export(module, (rows,), dynamic_shapes=(open_rows,)), file)
    edit = ("factory: tests.models.networks:RecordsGradients", f"{kind}: {file}")
    path = edited(tmp_path, MISTAKES / "records_gradients.yaml", edit, ("backend: eager", "backend: torchscript"))
    status, found = audited(path, capsys, here)
    assert status == 0, found["findings"]
    assert [step for step in found["steps"] if step["key"] == "batch-8" and step["timing"]]


def test_after_ctrl_c_what_was_not_measured_is_not_called_absent(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def stopped(app: ModelApp, keys: Keys, _: Budget) -> Iterator[AuditResult]:
        yield from islice(isolated.examine_here(app, keys, FAST), 3)
        raise KeyboardInterrupt

    status, found = audited(config(tmp_path, "Linear"), capsys, stopped)
    assert status == 130
    assert [each["made"] for each in found["mistakes"]] == [False, None, None, None, None]
    assert found["verdict"] == f"stopped: nothing found in 3 of {found['steps_planned']} steps"
    assert found["steps_planned"] > 10


def test_models_that_ctrl_c_came_before_are_said_not_to_be_audited(capsys: pytest.CaptureFixture[str]) -> None:
    def stopped(app: ModelApp, keys: Keys, budget: Budget) -> Iterator[AuditResult]:
        yield from examined_as()(app, keys, budget)
        raise KeyboardInterrupt

    assert audit(AuditOptions(MISTAKES.parents[2] / "serve_config.yaml"), examine_model=stopped) == 130
    output = capsys.readouterr().out
    assert "not audited: stopped by Ctrl-C before its turn" in output
    assert "none of the five mistakes" not in output
