"""What an audit concludes where a config forgoes the default, a start refuses it, or figures say too little."""

from dataclasses import replace
from pathlib import Path

import pytest

from pitstop.audit.case import Case
from pitstop.audit.config_findings import config_findings
from pitstop.audit.mistakes import verdicts
from pitstop.audit.step import DEFAULT_ONE, STARTED, ForwardSetting, Step, StepSpec
from pitstop.audit.timing_findings import timing_findings
from tests.pitstop.audit_fakes import MISTAKES, case, edited, step, steps, timing
from tests.pitstop.test_audit_findings import DIGITS, SCRIPT, of

EAGER = ForwardSetting("eager", "fp32", "contiguous")


def verdict_3(found: Case) -> str:
    return verdicts(found, [*config_findings(found), *timing_findings(found)])[2].word


def test_eager_is_a_mistake_where_the_default_would_serve_more_in_batches_as_a_start_leaves_it() -> None:
    path = MISTAKES / "eager.yaml"
    # One row says nothing here: TorchScript is as fast as eager, and packed in batches four times as fast.
    found = case(path, steps=steps(EAGER, {"torchscript": 2, "default": 2, "default-64": 1.5}))
    [told] = of(found, mistake=3)
    assert told.cost == "10,700 items/s now (64 rows), 42,700 items/s by default (64 rows): 4.0 times"
    assert (told.keys[-1], told.fix) == ("backend", "backend: auto")
    [_, _, third, *_] = verdicts(found, [told])
    assert third.word == "made"
    assert third.factor == pytest.approx(4)


def test_eager_that_costs_nothing_is_said_to_cost_nothing() -> None:
    found = case(MISTAKES / "eager.yaml", steps=steps(EAGER, {"default": 2, "default-64": 6}))
    assert not of(found, mistake=3)
    found = case(MISTAKES / "eager.yaml", steps=steps(EAGER, {"default": 3, "default-64": 7}))
    assert verdicts(found, [])[2].cost.startswith("nothing here: 10,700 items/s against 9,140")
    assert verdict_3(found) == "absent"


def test_eager_is_no_mistake_where_torchscript_would_not_be_faithful() -> None:
    kept = tuple(each for each in steps(EAGER) if not each.spec.key.startswith(("torchscript", "default")))
    left_out = Step(StepSpec(DEFAULT_ONE, "the default backend", "option"), skipped="a trace would be wrong")
    found = case(MISTAKES / "eager.yaml", steps=(*kept, left_out))
    assert not of(found, mistake=3)
    assert verdicts(found, [])[2].cost == "a trace would be wrong"


def test_torch_compile_that_serves_less_than_the_default_is_the_same_mistake(tmp_path: Path) -> None:
    path = edited(tmp_path, MISTAKES / "eager.yaml", ("backend: eager", "backend: compile"))
    found = of(case(path, steps=steps(ForwardSetting("compile", "fp32", "contiguous"))), mistake=3)
    assert found[0].what.startswith("runs torch.compile")


def test_a_way_to_torchscript_that_fails_is_held_against_the_default(tmp_path: Path) -> None:
    path = edited(tmp_path, MISTAKES / "eager.yaml", ("backend: eager", "torchscript: script"))
    own = [replace(each, how="eager") for each in steps(SCRIPT)]
    default = step(DEFAULT_ONE, 0.05, "option", setting=SCRIPT, how="trace")
    assert of(case(path, steps=(*own, default)), mistake=3)[0].fix == "torchscript: auto"


def test_what_a_busy_machine_leaves_unclear_is_not_called_absent() -> None:
    noisy = tuple(replace(each, timing=each.timing and timing(each.timing.p50_ms, 0.8)) for each in steps(EAGER))
    assert verdict_3(case(MISTAKES / "eager.yaml", steps=noisy)) == "unclear"


def test_a_forward_that_loops_over_its_rows_is_a_hint_with_what_batches_gain() -> None:
    slow = steps(SCRIPT, {"torchscript": 1, "32": 29, "64": 60})
    [found] = of(case(DIGITS, steps=slow, ops_per_row=13), mistake=5)
    assert found.severity == "hint"
    assert "does forward loop over its rows?" in found.what
    assert found.cost == "batching: 1.1 times at batch size 32"
    assert not [each for each in of(case(DIGITS, steps=slow)) if "loop over its rows" in each.what]


def test_no_advice_silences_a_hint_and_gains_nothing() -> None:
    eager = tuple(replace(each, how="eager", note="not scriptable") for each in steps(SCRIPT))
    [found] = [each for each in of(case(DIGITS, steps=eager)) if "runs eagerly" in each.what]
    assert "backend: eager" not in found.fix
    assert "rewrite in forward" in found.fix


def test_what_a_start_refuses_gets_no_clean_bill() -> None:
    refused = Step(
        StepSpec(STARTED, "as a start runs it", "path", 1, SCRIPT), refusal="output 'p': wrong\nhelp: correct it"
    )
    [found] = of(case(DIGITS, steps=(*steps(SCRIPT), refused)), severity="refusal")
    assert (found.what, found.fix) == ("a start refuses this config: output 'p': wrong", "correct it")
