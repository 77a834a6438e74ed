"""What an audit says where a start chooses: what it chose, what the config forgoes, and how a start gets it."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from rich.console import Console

from configs.accept import AcceptConfig
from configs.backends import BACKENDS
from models.compile import aoti
from models.startup.open_model import open_model
from pitstop.audit.audit_result import AuditResult, Budget, Choice
from pitstop.audit.built import build
from pitstop.audit.case import Case
from pitstop.audit.chosen import leaves_a_choice
from pitstop.audit.finding import Finding
from pitstop.audit.isolated import examine_here
from pitstop.audit.main import AuditOptions, audit
from pitstop.audit.mistakes import verdicts
from pitstop.audit.nearness import near
from pitstop.audit.plan import Takes, single_rows
from pitstop.audit.step import DEFAULT_ONE, ForwardSetting, Near, Step
from pitstop.audit.subject import Subject, load, subject_of
from pitstop.audit.timing_findings import timing_findings
from pitstop.audit.waterfall import waterfall
from tests.models.test_open_model import config
from tests.pitstop.audit_fakes import MISTAKES, case, edited, examined_as, step, steps

ONE_BY_ONE = MISTAKES / "one_by_one.yaml"  # It names no backend.
SCRIPT, AOTI = (ForwardSetting(each, "fp32", "contiguous") for each in ("torchscript", "aoti"))
HALF = replace(AOTI, precision="bf16")
NEAR = Near(64, 1.0, 0.99987, 0.0031)


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PITSTOP_CACHE", str(tmp_path / "cache"))


def subject(network: str = "tests.models.networks:Linear", minutes: bool = False, **keys: Any) -> Subject:
    return subject_of(load(config(network, device="cpu", **keys), "cpu"), minutes)


def faster(setting: ForwardSetting, label: str, **keys: Any) -> Step:
    return step("option-batch", 2.0, "option", 64, setting=setting, label=f"{label}, batches of 64", **keys)


def hint(found: Case) -> Finding | None:
    return next((each for each in timing_findings(found) if "would be faster here" in each.what), None)


def test_the_report_is_headed_by_what_auto_chose() -> None:
    console = Console(width=80, highlight=False)
    with console.capture() as capture:
        audit(AuditOptions(ONE_BY_ONE), console, examined_as())
    assert "auto chose TorchScript fp32" in capture.get()
    assert case(ONE_BY_ONE).here == SCRIPT
    assert case(MISTAKES / "eager.yaml").chose == ""


def test_where_what_auto_compares_is_faster_once_it_is_built_the_command_is_told() -> None:
    own = case(ONE_BY_ONE, steps=(*steps(SCRIPT), faster(AOTI, "AOTInductor")))
    found = hint(replace(own, path=Path("mine.yaml")))
    assert found is not None
    assert found.what == "AOTInductor would be faster here, off eager by 0"
    assert found.fix == "pitstop build mine.yaml"
    assert found.cost == "10,700 items/s now (64 rows), 32,000 items/s then (64 rows): 3.0 times"


def test_a_config_that_names_a_slower_backend_is_told_to_leave_it_to_auto(tmp_path: Path) -> None:
    path = edited(tmp_path, MISTAKES / "eager.yaml", ("backend: eager", "backend: torchscript"))
    found = hint(case(path, steps=(*steps(SCRIPT), faster(AOTI, "AOTInductor"))))
    assert found is not None
    assert found.fix.splitlines()[0] == "backend: auto"
    assert found.fix.splitlines()[1].startswith("pitstop build ")


def test_a_faster_precision_comes_with_the_accept_that_it_passes() -> None:
    found = hint(case(ONE_BY_ONE, steps=(*steps(SCRIPT), faster(HALF, "AOTInductor, bf16", near=NEAR))))
    assert found is not None
    assert found.fix.splitlines()[:2] == [
        "precision: auto",
        "accept: {agreement: 0.999, cosine: 0.9998, tolerance: 0.004}",
    ]
    assert NEAR.passes(AcceptConfig.model_validate(NEAR.accept))


@pytest.mark.parametrize("tolerance, told", [(0.01, True), (0.001, False)])
def test_what_the_accept_of_a_config_refuses_is_not_advised(tmp_path: Path, tolerance: float, told: bool) -> None:
    more = f"max_batch_size: 1\n      precision: auto\n      accept: {{tolerance: {tolerance}}}"
    path = edited(tmp_path, ONE_BY_ONE, ("max_batch_size: 1", more))
    found = hint(case(path, steps=(*steps(SCRIPT), faster(HALF, "AOTInductor, bf16", near=NEAR))))
    assert (found is not None) == told
    assert found is None or found.fix.startswith("pitstop build ")


def test_what_a_start_has_compared_and_left_is_not_advised() -> None:
    own = case(ONE_BY_ONE, steps=(*steps(AOTI), faster(SCRIPT, "TorchScript")), choice=Choice(AOTI))
    assert hint(own) is None


@pytest.mark.parametrize("value, written", [(0.0, 1e-6), (0.0031, 0.004), (0.003, 0.003), (0.97, 1.0)])
def test_a_deviation_is_rounded_up(value: float, written: float) -> None:
    assert Near(3, None, None, value).accept == {"tolerance": written}


def test_mistake_3_is_measured_by_what_was_chosen() -> None:
    chosen = (*steps(AOTI), step(AOTI.key, 0.5, setting=AOTI, how="aoti"))
    [_, _, third, *_] = verdicts(case(ONE_BY_ONE, steps=chosen, choice=Choice(AOTI)), [])
    assert third.factor == pytest.approx(4)
    assert third.cost == "500 items/s, not 2,000, by AOTInductor"


def test_without_a_compiler_one_step_of_each_backend_that_needs_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    labels = [each.label for each in single_rows(SCRIPT, False, False, True, Takes(compiler=False))]
    assert [each for each in labels if "Inductor" in each or "compile" in each] == ["AOTInductor", "torch.compile"]
    for module in ("models.compile.aoti", "pitstop.audit.waterfall"):
        monkeypatch.setattr(f"{module}.has_compiler", lambda: False)
    found = subject(minutes=True, backend="torchscript", max_batch_size=1)
    with monkeypatch.context() as patch:
        patch.setitem(BACKENDS, "compile", replace(BACKENDS["compile"], devices=("cuda",)))
        every = list(waterfall(found, build(found, SCRIPT), Budget(0.002)))
    [skipped] = [each.skipped for each in every if each.spec.key.startswith("aoti")]
    assert "there is no C++ compiler; install g++" in skipped


def test_int8_is_tried_where_it_can_be_made_and_is_kept() -> None:
    found = {each.key for each in single_rows(SCRIPT, False, False, True, Takes(quantized=True)) if "int8" in each.key}
    assert {"aoti-int8_dynamic-contiguous", "eager-int8_weights-contiguous"} < found
    assert not any(key.startswith("torchscript") for key in found)


def test_a_branch_on_the_data_is_shown_with_its_file_line_and_code() -> None:
    path, app = MISTAKES / "one_by_one.yaml", config("tests.models.exported_networks:Detector", device="cpu")
    model = replace(case(path).app, config=app)
    result = AuditResult("cpu", (), ())
    for latest in examine_here(model, ("applications", 1), Budget(0.002, quick=True)):
        result = latest
    found = replace(case(path, steps=result.steps, choice=result.choice), app=model)
    assert found.chose == "auto chose eager fp32"
    [told] = [each for each in timing_findings(found) if "runs eagerly" in each.what]
    assert "control flow depends on the data at " in told.what
    assert "exported_networks.py:" in told.what
    assert told.what.count("`") == 2


def unchanged(module: Any, _: Any) -> Any:
    """A backend of the user's own."""
    return module.forward


def test_a_function_of_the_users_own_is_audited_against_what_auto_takes() -> None:
    found = subject(backend=f"{__name__}:unchanged", max_batch_size=2)
    assert not leaves_a_choice(found)
    here = ForwardSetting(f"{__name__}:unchanged", "fp32", "contiguous")
    every = {each.spec.key: each for each in waterfall(found, build(found, here), Budget(0.002, quick=True))}
    assert every[here.key].timing is not None
    assert every[DEFAULT_ONE].how in ("script", "trace", "eager")


@pytest.mark.skipif(not aoti.has_compiler(), reason="needs a C++ compiler")
def test_what_an_audit_compiles_a_start_finds_and_no_store_gets_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    store = tmp_path / "store"
    monkeypatch.setenv("PITSTOP_STORE", str(store))
    threads = torch.get_num_threads()
    # As the audit and a replica do it, by the config.
    request.addfinalizer(lambda: torch.set_num_threads(threads))
    torch.set_num_threads(1)
    found = subject(minutes=True, max_batch_size=2)
    assert leaves_a_choice(found)
    built = build(found, AOTI)
    assert built.how == "aoti"
    assert not list(store.rglob("*.pt2"))
    assert open_model(config(backend="aoti", max_batch_size=2, device="cpu"), "cpu").how == "aoti"
    measured = near(found, built, 0.1)
    assert measured is not None
    assert measured.rows > 0
    assert measured.accept.keys() == {"agreement", "cosine", "tolerance"}
    assert measured.deviation < 1e-4


def test_a_quick_audit_compiles_nothing_for_minutes() -> None:
    found = subject(max_batch_size=2, backend="torchscript")
    every = {each.spec.key: each for each in waterfall(found, build(found, SCRIPT), Budget(0.002, quick=True))}
    assert every[AOTI.key].skipped == "nothing is built of it: `pitstop build` does it, and takes minutes"


def test_a_backend_that_is_not_built_gives_way_to_the_quick_ones() -> None:
    served = open_model(config(backend="aoti", max_batch_size=2), "cpu")
    outcomes = {each.backend: each.outcome for each in served.candidates}
    assert outcomes["aoti"] == "not_built"
    assert "aoti" not in (served.how, served.candidates[0].backend)
    assert served.chosen.backend == served.candidates[0].backend
