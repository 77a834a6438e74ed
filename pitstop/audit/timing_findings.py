"""Findings from the measured steps: the mistakes of the config, and what would be faster here. Pure.

A difference counts only where the middle halves of both timings lie apart: a busy machine must not fail a build.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace

from configs.backends import AUTO, BACKENDS, EAGER, backend_of
from configs.precisions import FP32

from ..report.numbers import deviation, number
from .case import Case
from .finding import Finding, refusal
from .formatting import gain, times
from .step import DEFAULT_ONE, Step, fastest
from .timing import clearly_faster

# Below this, one backend is not worth changing for another.
WORTH = 1.1
# Below this, batches need not be collected.
BATCHING_PAYS = 1.3


def timing_findings(case: Case) -> Iterator[Finding]:
    """Yield what the steps show."""
    mistakes = (_refused, _inexact, _wrong_trace, _forgone, _one_by_one)
    for part in (*mistakes, _runs_eagerly, _loops, _past_its_best, _faster):
        yield from part(case)


def _refused(case: Case) -> Iterator[Finding]:
    """The error of a start: a config that it refuses never passes the audit."""
    if any(finding.mistake == 1 for finding in case.model_findings):
        return  # The same check reports it there, with the mistake's number.
    for step in case.steps:
        if step.refusal:
            yield refusal(step.refusal, case.args())


def _inexact(case: Case) -> Iterator[Finding]:
    """Mistake 3: the compiled forward deviates from eager."""
    if any(finding.mistake == 1 for finding in case.model_findings):
        return  # Eager may not even agree with itself.
    for step in case.steps:
        spec = step.spec
        if spec.setting == case.here and spec.rows == 1 and step.deviation is not None and step.skipped:
            what = f"as configured ({spec.label}) it is {step.skipped}: a replica would refuse to start"
            exact = case.here.precision == "fp32"
            key, fix = ("backend", "backend: eager") if exact else ("precision", "precision: fp32")
            yield Finding("mistake", what, case.args(key), fix, "wrong answers", 3)


def _wrong_trace(case: Case) -> Iterator[Finding]:
    step = next((each for each in (case.one, *case.steps) if each and each.wrong_trace), None)
    if case.app.config.torchscript == "trace" and step is not None:
        script = step.how == "script"
        what = f"asks for a trace, but {step.wrong_trace}"
        fix = "torchscript: script" if script else "torchscript: auto, and rewrite in forward what is named"
        saved = "pitstop scripts it instead" if script else f"pitstop runs {_ran(case)} instead"
        yield Finding("mistake", what, case.args("torchscript"), fix, f"wrong answers elsewhere; {saved}", 3)


def _forgone(case: Case) -> Iterator[Finding]:
    """Mistake 3: the default, as a start would leave it, would serve more in batches."""
    lines = case.forgone
    pairs = (case.best, case.default), (case.one, case.step(DEFAULT_ONE))
    slow, fast = next((pair for pair in pairs if _clearly(*pair, WORTH)), (None, None))
    if not lines or fast is None:
        return
    key, fix = next(iter(lines)), "\n".join(f"{key}: {value}" for key, value in lines.items())
    runs = "leaves the model eager, as this way to TorchScript fails"
    if key == "backend":
        runs = f"runs {backend_of(case.here.backend).title}"
    what = f"{runs}, and the default serves the same answers faster"
    yield Finding("mistake", what, case.args(key), fix, gain(slow, fast, ("now", "by default")), 3)


def _runs_eagerly(case: Case) -> Iterator[Finding]:
    step, asked = case.one, case.app.config.backend
    if asked == EAGER or step is None or step.how != EAGER or not step.note or case.default:
        return
    what = f"is {asked}, but the model runs eagerly: {step.note}"
    # To write eager there would hide this, and change nothing else.
    others = [replace(case.here, backend=each) for each in BACKENDS if each not in (asked, EAGER)]
    other = fastest(case.step(each.key) for each in others)
    if other is not None and other.spec.setting is not None and _clearly(step, other, WORTH):
        fix = _written(case, {"backend": other.spec.setting.backend}, other)
        yield Finding("hint", what, case.args("backend"), fix, gain(step, other))
    else:
        yield Finding(
            "hint", what, case.args("backend"), "rewrite in forward what is named, so that it can be compiled"
        )


def _one_by_one(case: Case) -> Iterator[Finding]:
    one, many = case.one, case.many
    if case.rows > 1 or case.app.config.whole or not _clearly(one, many, BATCHING_PAYS):
        return
    assert many is not None
    limited = case.app.config.max_batch_size > 1
    keys = case.deployed("user_config", "max_batch_size") if limited else case.args("max_batch_size")
    what = "feeds one row at a time, where a batch costs hardly more than a row"
    yield Finding("mistake", what, keys, f"max_batch_size: {many.spec.rows}", gain(one, many), 5)


def _loops(case: Case) -> Iterator[Finding]:
    """Mistake 5 inside the model, which no config can fix."""
    if not case.ops_per_row:
        return
    what = f"does forward loop over its rows? Each row more costs it {number(case.ops_per_row)} operations more"
    fix = "in forward, compute all rows at once: x @ w for a matrix x, in place of a loop over its rows"
    one, many = case.one, case.many
    cost = f"batching: {times(one, many):.1f} times at batch size {many.spec.rows}" if one and many else ""
    yield Finding("hint", what, case.args("source"), fix, cost, 5)


def _past_its_best(case: Case) -> Iterator[Finding]:
    """Batches beyond the best size: more latency for fewer items."""
    full = case.step(f"batch-{case.rows}")
    best = case.best
    if best is not None and not case.app.config.whole and _clearly(full, best, WORTH):
        limited = case.app.tunables.max_batch_size is not None
        keys = case.deployed("user_config", "max_batch_size") if limited else case.args("max_batch_size")
        what = f"{case.rows} rows in a forward are past the best size here, which is {best.spec.rows}"
        yield Finding("hint", what, keys, f"max_batch_size: {best.spec.rows}", gain(full, best))


def _faster(case: Case) -> Iterator[Finding]:
    """The best setting besides the configured one; judged in batches where those were measured."""
    batch = case.step("option-batch")
    # Without a batch of its own an option is as compiled, and so is what it is held against.
    slow = case.many if batch else case.step(case.here.key) or case.one
    options = [batch] if batch else [step for step in case.steps if step.spec.kind == "option" and step.spec.setting]
    fast = fastest(options)
    if fast is None or fast.spec.setting is None or not _clearly(slow, fast, WORTH):
        return
    lines = {key: value for key, value in fast.spec.setting.lines.items() if case.here.lines[key] != value}
    if case.forgone and lines.keys() == {"backend"} and not backend_of(fast.spec.setting.backend).slow:
        return  # The default takes it too, and that is mistake 3 where it is faster.
    fix = _written(case, lines, fast)
    if not fix:
        return  # The start compared it, and chose or refused it by what it measured there.
    label = fast.spec.label.partition(", batches of")[0]
    what = f"{label} would be faster here, off eager by {deviation(fast.deviation)}"
    yield Finding("hint", what, case.args(next(iter(lines))), fix, gain(slow, fast))


def _written(case: Case, lines: Mapping[str, str], fast: Step) -> str:
    """Return what to write and to run so that a start takes this step's setting; nothing if it may take it already."""
    config, near, written = case.app.config, fast.near, dict(lines)
    backend, precision = lines.get("backend", config.backend), lines.get("precision", FP32)
    if backend != config.backend and backend_of(backend).in_auto:
        written["backend"] = AUTO
    passes = near is not None and config.accept is not None and near.passes(config.accept)
    accept: list[str] = []
    if precision == FP32 and config.precision == AUTO:
        written.pop("precision", None)
    elif precision != FP32 and config.precision == AUTO and config.accept is not None and not passes:
        return ""
    elif precision != FP32 and near is not None:
        written["precision"] = AUTO
        measures = ", ".join(f"{name}: {each:g}" for name, each in near.accept.items())
        accept = [f"accept: {{{measures}}}"] * (not passes)
    found = [f"{key}: {value}" for key, value in written.items() if value != getattr(config, key)]
    needs_build = fast.spec.setting is not None and backend_of(fast.spec.setting.backend).built
    return "\n".join([*found, *accept, *[case.build] * needs_build])


def _ran(case: Case) -> str:
    return "it eagerly" if case.here.backend == EAGER else backend_of(case.here.backend).title


def _clearly(slow: Step | None, fast: Step | None, factor: float) -> bool:
    if slow is None or fast is None or slow.timing is None or fast.timing is None:
        return False
    return clearly_faster(slow.timing, fast.timing, factor, slow.spec.rows, fast.spec.rows)
