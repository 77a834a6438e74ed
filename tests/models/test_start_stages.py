"""What a start finds is data: each check has a code, its numbers and one sentence, and no stage changes another's."""

from dataclasses import fields
from pathlib import Path

import pytest

from models.compile.refused import Refused
from models.errors import ModelError
from models.signature import Shape
from models.startup import stages, start
from models.startup.candidates import field_of
from models.startup.check_error import CheckError
from models.startup.check_results import (
    Batching,
    CheckResult,
    CoBatchedRows,
    Compilation,
    Device,
    Failed,
    InferenceMode,
    Padding,
    WarmedShapes,
    as_json,
    line,
)
from models.startup.selection import Selection
from tests.models.test_open_model import config, opened

SLOW = Refused("script", "not_compilable", "RuntimeError: no")
WRONG = Refused("trace", "wrong_branch", "line 3")
COMPILED = {"code": "passed", "asked": "torchscript", "graphs": 0, "deviation": 3e-7, "reference": "fp32"}


@pytest.fixture(autouse=True)
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PITSTOP_CACHE", str(tmp_path))


@pytest.mark.parametrize(
    "result, said",
    [
        (InferenceMode(), "✓ inference mode: eval mode, no gradients, and the same answer to the same rows twice"),
        (Padding("not_applicable", reason="nothing is padded"), "- padding: nothing is padded"),
        (Padding("passed", 0.0), "✓ padding: with padding an answer stays the same"),
        (
            CoBatchedRows("passed", 3e-7),
            "✓ co-batched rows: beside other rows an answer changes by at most 3.0e-07 of its size",
        ),
        (
            CoBatchedRows("waived", 0.02, waived_by="batch_tolerance", allowed=0.05),
            "! co-batched rows: beside other rows an answer changes by at most 2.0e-02 of its size; "
            "allowed by batch_tolerance: 0.05",
        ),
        (
            WarmedShapes("passed", 7, None),
            "✓ warmed shapes: all 7 ran before the first request; no GPU, so no cuDNN",
        ),
        (
            Compilation(**COMPILED, how="script", made="before", refused=()),  # type: ignore[arg-type]
            "✓ compilation: TorchScript, scripted, loaded from the cache; within 3.0e-07 of eager fp32 at every warmed "
            "size",
        ),
        (
            Compilation(**COMPILED, how="eager", made="now", refused=(SLOW, WRONG)),  # type: ignore[arg-type]
            "✓ compilation: eager; within 3.0e-07 of eager fp32 at every warmed size; asked for "
            "TorchScript: torch.jit.script fails (RuntimeError: no); a trace may be wrong for other inputs: it "
            "would freeze a value (line 3)",
        ),
        (
            Device("measured", "auto", "CPU, 1 thread", 53309.2, "no GPU"),
            "✓ device: CPU, 1 thread, asked for auto; FALLBACK: no GPU; 53,309 rows/s measured",
        ),
        (
            Batching("measured", 1, 6835.1, 64, 53309.2, 7.8),
            "✓ batching: 7.8 times faster than one by one (53,309 against 6,835 rows/s at batch size 64)",
        ),
        (
            Batching("measured", 2, 100.0, 2, 100.0, 1.0),
            "✓ batching: no batch size is faster than in batches of 2 (100 rows/s)",
        ),
        (
            Batching("not_applicable", 1, 100.0, 1, 100.0, 1.0, "every forward takes 1 row"),
            "- batching: every forward takes 1 row; 100 rows/s",
        ),
        (Failed("padding", 1, "it is off"), "✗ padding: it is off"),
    ],
)
def test_each_result_has_one_plain_line(result: CheckResult, said: str) -> None:
    assert line(result) == said


def test_json_has_the_code_the_numbers_and_the_sentence() -> None:
    found = as_json(Batching("measured", 1, 100.0, 8, 400.0, 4.0))
    assert (found["check"], found["mistake"], found["code"], found["ratio"]) == ("batching", 5, "measured", 4.0)
    assert found["sentence"] == "4.0 times faster than one by one (400 against 100 rows/s at batch size 8)"


def test_a_start_returns_the_numbers_that_it_measured() -> None:
    served = opened()
    found = served.checks.batching
    assert found.least_rows == 1
    assert found.ratio == pytest.approx(found.best_rows_s / found.least_rows_s)
    assert served.checks.device.rows_s == found.best_rows_s
    assert served.checks.compilation.deviation < 1e-3


def test_one_row_a_forward_has_no_batching_to_measure() -> None:
    found = opened(max_batch_size=1).checks.batching
    assert (found.code, found.reason) == ("not_applicable", "every forward takes 1 row")


@pytest.mark.parametrize(
    "network, check, mistake",
    [("StubbornDropout", "inference mode", 1), ("BatchStatistics", "co-batched rows", 1)],
)
def test_a_check_that_fails_says_which_it_is(network: str, check: str, mistake: int) -> None:
    with pytest.raises(CheckError) as caught:
        opened(network)
    found = caught.value.result
    assert (found.check, found.mistake, found.code) == (check, mistake, "failed")
    assert found.sentence == caught.value.what
    assert caught.value.help


def test_a_tolerance_that_lets_more_pass_is_shown_as_waived() -> None:
    wide = [{"name": "y", "datatype": "FP32", "shape": [-1, 4]}]
    with pytest.raises(ModelError, match="raise tolerance if the difference may be"):
        opened("Sharp", outputs=wide, precision="bf16")
    found = opened("Sharp", outputs=wide, precision="bf16", tolerance=10.0).checks.compilation
    assert (found.code, found.waived_by, found.allowed) == ("waived", "tolerance", 10.0)


def test_a_slow_forward_has_the_time_of_its_comparison_if_that_is_smaller(monkeypatch: pytest.MonkeyPatch) -> None:
    def compared_ms(forward_ms: dict[Shape, float], again_ms: dict[Shape, float]) -> dict[Shape, float]:
        assert again_ms.keys() == forward_ms.keys()
        return dict.fromkeys(forward_ms, 1000.0)

    monkeypatch.setattr(start, "compared_ms", compared_ms)
    assert set(opened().forward_ms.values()) == {1000.0}


def test_no_stage_changes_what_one_before_it_returned() -> None:
    import torch

    given = config("tests.models.networks:Linear")
    bound = stages.bind_source(given, None)
    checked = stages.check_eagerly(bound, given, torch.device("cpu"))
    selection = Selection(given, bound.module, bound.samples, checked)
    contender = next(selection.fastest_first(field_of(given, "cpu", checked.arithmetic)))
    ready = contender.ready
    values = (bound, checked, contender, ready, contender.compiled)
    before = [getattr(value, each.name) for value in values for each in fields(value)]
    warmed = stages.warm_shapes(contender)
    forward, forward_ms = warmed.runner.forward, dict(warmed.forward_ms)
    chosen = stages.choose_sizes(ready, warmed)
    stages.prove_rows(ready, chosen.runner, checked.reference)
    after = [getattr(value, each.name) for value in values for each in fields(value)]
    assert all(one is other for one, other in zip(before, after, strict=True))
    assert (warmed.runner.forward, warmed.forward_ms) == (forward, forward_ms)
    assert chosen.runner.unwarmed == 0
