"""The five mistakes: whether the config still makes each, and what it costs, or would cost, on this machine. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from configs.backends import EAGER, backend_of
from configs.precisions import FP32

from ..report.numbers import deviation, number, plural
from .case import Case
from .finding import Finding
from .formatting import times
from .step import DEFAULT_ONE, NEW, PADDED, STARTED, Step
from .timing_findings import BATCHING_PAYS, WORTH

NOT_MEASURED, UNCLEAR = "not measured", "unclear"
TITLES = {
    1: "train mode or gradients",
    2: "cuDNN off, or shapes change",
    3: "compiled model not reused",
    4: "CPUs unmeasured",
    5: "rows one by one",
}


@dataclass(frozen=True, slots=True)
class Verdict:
    """One mistake. `made` is None where what would show it was not measured, or measured too roughly.

    `factor`: how many times slower it makes this model here; None where that was not measured.
    """

    number: int
    title: str
    made: bool | None
    factor: float | None
    cost: str

    @property
    def word(self) -> str:
        if self.made is None:
            return NOT_MEASURED if self.factor is None else UNCLEAR
        return "made" if self.made else "absent"


def verdicts(case: Case, findings: Sequence[Finding]) -> list[Verdict]:
    """Judge all five."""
    made = {finding.mistake for finding in findings if finding.severity == "mistake"}
    costs = {1: _training, 2: _shapes, 3: _uncompiled, 4: _cpu, 5: _one_by_one}
    # Too noisy to be judged: a busy machine must neither fail a build nor pass it.
    worth = {3: WORTH if case.forgone else None, 5: BATCHING_PAYS if case.rows == 1 else None}
    return [_verdict(each, each in made, cost(case), case.complete, worth.get(each)) for each, cost in costs.items()]


Cost = tuple[float | None, str]


def _verdict(number_: int, made: bool, cost: Cost, complete: bool, worth: float | None) -> Verdict:
    # A complete audit judges everything; a mistake that a stopped one did not measure may still be there.
    known = made or ((complete or cost != (None, NOT_MEASURED)) and (worth is None or (cost[0] or 0) < worth))
    return Verdict(number_, TITLES[number_], made if known else None, *cost)


def _training(case: Case) -> Cost:
    good = case.step("inference_mode")
    bad = case.step("train") or case.step("eval")
    if good is None or bad is None:
        return None, NOT_MEASURED
    more = (bad.peak_mib or 0) / max(good.peak_mib or 0, 1e-9)
    memory = f"; {more:.1f}x the memory" if more >= WORTH else ""
    wrong = f"; answers off by {deviation(bad.deviation)}" if (bad.deviation or 0) > 1e-3 else ""
    return times(bad, good), f"{_pair(bad, good)}{memory}{wrong}"


def _shapes(case: Case) -> Cost:
    found: list[tuple[float, str]] = []
    before, search = case.step(_eager_key(case)), case.step("search")
    if before and search:
        found.append((times(before, search), f"search off: {_pair(before, search)}"))
    new, padded = case.step(NEW), case.step(PADDED)
    if new and padded:
        found.append((times(new, padded), f"every shape new: {_pair(new, padded)}"))
    if not found and not case.complete:
        return None, NOT_MEASURED
    factor, text = max(found, default=(0.0, ""))
    if factor < WORTH:
        return None, "next to nothing here" + ("" if case.device == "cuda" else ": no GPU, so no cuDNN")
    return factor, text


def _uncompiled(case: Case) -> Cost:
    if case.forgone:
        return _against_default(case)
    eager, one = case.step("search") or case.step(_eager_key(case)), case.one
    compiled, title = replace(case.here, precision=FP32), backend_of(case.here.backend).title
    if case.here.backend == EAGER and one is not None:
        return None, f"runs eagerly: {one.note}" if one.note else "eager is the fastest here"
    # Packing needs TorchScript; CUDA graphs do not, so their gain is not one of compiling.
    packed = case.step(STARTED) if case.here == compiled and case.device == "cpu" else None
    found = packed or case.step(compiled.key)
    if eager is None or found is None:
        reason = next((step.skipped for step in case.steps if step.spec.key == compiled.key), "")
        return None, reason or NOT_MEASURED
    if found.how == EAGER:
        return None, f"no {title}: {found.note}"
    how = found.how if found.how in ("script", "trace") else title
    return times(eager, found), f"{_pair(eager, found)}, by {how}{', packed for this CPU' if packed else ''}"


def _against_default(case: Case) -> Cost:
    """Compare a config that gives up the default with it, both as served, each at its best."""
    here, there = case.best, case.default
    if here is None or there is None:
        skipped = next((step.skipped for step in case.steps if step.spec.key == DEFAULT_ONE), "")
        return None, skipped or NOT_MEASURED
    return times(here, there), f"{_pair(here, there)}, by the default in batches of {there.spec.rows}"


def _cpu(case: Case) -> Cost:
    here, cpu = case.many or case.one, case.step("cpu")
    if case.device == "cuda" and here and cpu:
        return times(cpu, here), f"{_pair(cpu, here)}, in batches of {here.spec.rows}"
    if here is None:
        return None, NOT_MEASURED
    rate = f"{number(here.items_s or 0)} items/s at {plural(here.spec.rows, 'row')}"
    return None, f"this CPU: {rate}; no GPU here to compare"


def _one_by_one(case: Case) -> Cost:
    one, many = case.one, case.many
    if one is None or many is None:
        return None, NOT_MEASURED
    return times(one, many), f"{_pair(one, many)}, in batches of {many.spec.rows}"


def _eager_key(case: Case) -> str:
    """Return the key of the eager step in the config's memory format."""
    last = case.here.memory_format == "channels_last" and case.step("channels_last") is not None
    return "channels_last" if last else "inference_mode"


def _pair(bad: Step, good: Step) -> str:
    if times(bad, good) < 1:
        return f"nothing here: {number(bad.items_s or 0)} items/s against {number(good.items_s or 0)}"
    return f"{number(bad.items_s or 0)} items/s, not {number(good.items_s or 0)}"
