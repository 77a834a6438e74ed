"""From a config to a model that may serve, in stages; each takes the values of earlier stages.

source → bound → checked eagerly → candidates compiled and timed → the fastest warmed → sizes chosen → checked →
compared; if it fails a check, the next candidate. One call, or a ModelError.
"""

import logging
import time
from dataclasses import dataclass, field, replace
from typing import Any

import torch

from configs.backends import EAGER
from configs.schema import ModelConfig

from ..compile import store
from ..compile.store import Key
from ..errors import ModelError
from ..runtime.forward_times import ends
from ..runtime.runner import Runner
from ..runtime.seeding import seed_of
from ..signature import Shape, label, signature_of
from ..sources.hooks import Hook
from ..user_code import call_at_start
from . import kept_start, mistake_checks, stages
from .acceptance import Compared, Expected, acceptance, expected
from .acceptance_result import Acceptance
from .candidates import Candidate, Tried, field_of
from .check_error import CheckError, failing, noting
from .check_results import (
    Batching,
    CheckResult,
    CoBatchedRows,
    Compilation,
    Device,
    InferenceMode,
    Padding,
    WarmedShapes,
    as_json,
)
from .contender import Contender
from .eager_checks import Eager
from .kept_start import KeptStart
from .precision import plain
from .prepare import pick_device, set_arithmetic
from .prepared import Prepared
from .row_checks import prepared
from .sample_inputs import SampleInputs
from .selection import Selection
from .warmup import Warmed

_log = logging.getLogger("pitstop")
# How long eager may answer for the measures of `accept`: a start has little time, a build has much.
_EXPECTED_S, _BUILD_EXPECTED_S = 3.0, 120.0
_ACCEPT_LESS = "ask for less in accept if that is good enough, or name another precision"


@dataclass(frozen=True, slots=True)
class Checks:
    """All that a start has checked, in the order of the mistakes."""

    inference_mode: InferenceMode
    padding: Padding
    co_batched_rows: CoBatchedRows
    warmed_shapes: WarmedShapes
    compilation: Compilation
    device: Device
    batching: Batching
    # What the config's `accept` asks; None without one.
    acceptance: Acceptance | None = None

    @property
    def results(self) -> tuple[CheckResult, ...]:
        own = (self.inference_mode, self.padding, self.co_batched_rows)
        near = () if self.acceptance is None else (self.acceptance,)
        return (*own, self.warmed_shapes, self.compilation, *near, self.device, self.batching)


_FIELDS: dict[type[CheckResult], str] = {
    InferenceMode: "inference_mode",
    Padding: "padding",
    CoBatchedRows: "co_batched_rows",
    WarmedShapes: "warmed_shapes",
    Compilation: "compilation",
    Acceptance: "acceptance",
    Device: "device",
    Batching: "batching",
}


@dataclass(frozen=True, slots=True)
class OpenedModel:
    """A model that has passed its checks, with their results and timings; `start_s` by the start's steps.

    `config` is that of the model, with the signature that was found where it had none.
    """

    config: ModelConfig
    runner: Runner
    samples: SampleInputs
    postprocess: Hook | None
    checks: Checks
    forward_ms: dict[Shape, float]
    start_s: dict[str, float]
    precision: str
    inputs_passed: str
    outputs_read: str
    # All that were compared, the one that serves first.
    candidates: tuple[Tried, ...]

    @property
    def how(self) -> str:
        """What runs: eager, script, trace, or the backend's name."""
        return self.checks.compilation.how

    @property
    def chosen(self) -> Candidate:
        """The backend and the precision that serve."""
        return Candidate(EAGER if self.checks.compilation.how == EAGER else self.candidates[0].backend, self.precision)

    @property
    def started_s(self) -> float:
        return sum(self.start_s.values())

    def summary(self) -> dict[str, Any]:
        """Return what metadata shows of the start: its checks, how the model runs, and what took how long."""
        return {
            "checks": [as_json(result) for result in self.checks.results],
            "candidates": [each.as_json() for each in self.candidates],
            "forward_ms": {label(shape): round(ms, 3) for shape, ms in sorted(self.forward_ms.items())},
            "precision": self.precision,
            "inputs_passed": self.inputs_passed,
            "outputs_read": self.outputs_read,
            "checked_with": self.samples.source,
            "start_s": {step: round(took_s, 2) for step, took_s in self.start_s.items()},
        }


class _Laps:
    """A stopwatch: `lap` adds to a step what has passed since the last one."""

    def __init__(self) -> None:
        self.start_s: dict[str, float] = {}
        self._since = time.perf_counter()

    def lap(self, step: str) -> None:
        now = time.perf_counter()
        self.start_s[step] = self.start_s.get(step, 0.0) + now - self._since
        self._since = now


def open_model(
    config: ModelConfig,
    device: str,
    fallback: str | None = None,
    module: torch.nn.Module | None = None,
    *,
    kept: bool = False,
    minutes: bool = False,
) -> OpenedModel:
    """Make a model ready to serve.

    Args:
        config: the model.
        device: `cuda` or `cpu`, as the builder chose.
        fallback: why `auto` did not take a GPU, or None.
        module: the module, if it is already loaded; it is changed in place.
        kept: whether to go by what an earlier start of the same model found here, and to keep this one's outcome.
        minutes: whether compiling may take so long, as in a build; else what takes long is used if it was built.

    Raises:
        ModelError: it cannot be loaded, deviates from eager, or still makes one of the five mistakes.
    """
    advice = "correct it there: a start runs the network on rows that it draws, and changes its mode, device and dtype"
    start = _Start(config, pick_device(device), fallback, kept, minutes)
    return call_at_start("the network", advice, start.run, module)


@dataclass(slots=True)
class _Start:
    """A start on its way."""

    config: ModelConfig
    place: torch.device
    fallback: str | None
    kept: bool
    minutes: bool
    laps: _Laps = field(default_factory=_Laps)
    expected: Expected | None = None

    def run(self, module: torch.nn.Module | None) -> OpenedModel:
        config, module = stages.complete(self.config, module)
        set_arithmetic(plain(config), config.fixed_shapes)
        bound = stages.bind_source(config, module)
        key = (
            kept_start.key_of(config, bound.identity, self.place, bound.samples) if self.kept or self.minutes else None
        )
        self.laps.lap("load")
        if not self.kept:
            return self._anew(bound, config, key)
        opened = self._again(bound, config, key)
        if opened is not None:
            return opened
        # Replicas that start at once would disturb each other's measurements.
        with store.making("starts", key) as waited:
            self.laps.lap("wait")
            opened = self._again(bound, config, key) if waited else None
            return self._anew(bound, config, key) if opened is None else opened

    def _anew(self, bound: stages.BoundModel, config: ModelConfig, key: Key | None) -> OpenedModel:
        """Check the network, compare the candidates, and serve the fastest that passes every check."""
        checked = stages.check_eagerly(bound, plain(config), self.place)
        config = stages.declared(bound, checked, config)
        self.laps.lap("check")
        selection = Selection(config, bound.module, bound.samples, checked, bound.identity, self.minutes, key)
        candidates, failed = field_of(config, self.place.type, checked.arithmetic, self.minutes), list[CheckError]()
        for chosen in selection.fastest_first(candidates):
            self.laps.lap("compile")
            try:
                checks, warmed = self._proved(chosen, checked, config, bound.postprocess)
            except CheckError as error:
                if len(candidates) == 1:
                    raise
                _log.warning("%s: %s may not serve: %s", config.name, chosen.candidate, error.what)
                selection.refuse(chosen.candidate, error.what, precision=error.result.check == Acceptance.check)
                failed.append(error)
                del chosen
                continue
            table = selection.choose(chosen.candidate)
            for each in table if len(table) > 1 else ():
                _log.info("%s: %s", config.name, each.line)
            backend = EAGER if chosen.compiled.eager else chosen.candidate.backend
            outcome = KeptStart(
                Candidate(backend, chosen.candidate.precision),
                chosen.packed_from,
                config.outputs,
                checks.results,
                warmed.forward_ms,
                table,
            )
            kept_start.write(key, outcome, self.minutes)
            return self._opened(bound, config, checked, chosen.ready, warmed, checks, table)
        raise failed[0]

    def _proved(
        self, chosen: Contender, checked: Eager, config: ModelConfig, postprocess: Hook | None
    ) -> tuple[Checks, Warmed]:
        """Warm a candidate and run every check; raise a CheckError if it fails one."""
        ready, samples = chosen.ready, chosen.ready.samples
        chosen.use()
        with noting(samples.note):
            warmed = stages.choose_sizes(ready, stages.warm_shapes(chosen))
            self.laps.lap("warm")
            rows = stages.prove_rows(ready, warmed.runner, checked.reference)
            self.laps.lap("prove")
            accept = config.accept
            # What is compared anyway is enough for a start. A build has time for more, and labelled rows are not in it.
            few = accept is not None and accept.accuracy is None and not self.minutes
            with failing(Acceptance):
                seen = Compared(accept, ready.outputs, samples) if accept is not None and few else None
            compared = mistake_checks.compilation(
                chosen.compiled,
                warmed.runner,
                checked.reference,
                samples,
                replace(checked.arithmetic, config=ready.config),
                asked=config.backend,
                seen=seen,
            )
            near = None if accept is None else self._accepted(chosen, warmed, checked, config, postprocess, seen)
        self.laps.lap("compare")
        _, best = ends(warmed.forward_ms)
        checks = Checks(
            *rows,
            mistake_checks.warmed_shapes(warmed.runner, config.fixed_shapes),
            compared,
            mistake_checks.device(config, warmed.runner, self.fallback, best.rows_s),
            mistake_checks.batching(warmed.forward_ms),
            near,
        )
        return checks, warmed

    def _accepted(
        self,
        chosen: Contender,
        warmed: Warmed,
        checked: Eager,
        config: ModelConfig,
        postprocess: Hook | None,
        seen: Compared | None,
    ) -> Acceptance:
        """Hold a candidate against the config's `accept`; raise a CheckError if it is not near enough to eager."""
        with failing(Acceptance):
            if seen is not None:
                found = seen.result()
            else:
                if self.expected is None:
                    budget_s = _BUILD_EXPECTED_S if self.minutes else _EXPECTED_S
                    self.expected = expected(checked.reference, chosen.ready.samples, config, postprocess, budget_s)
                found = acceptance(prepared(warmed.runner, seed_of(config)), self.expected)
            if found.code == "failed":
                raise ModelError(f"{found.sentence}\nhelp: {_ACCEPT_LESS}")
        return found

    def _again(self, bound: stages.BoundModel, config: ModelConfig, key: Key | None) -> OpenedModel | None:
        """Serve what an earlier start chose, after a comparison with eager; None if there is none, or it differs."""
        known = kept_start.read(key)
        if known is None:
            return None
        config = config.model_copy(update={"outputs": known.outputs})
        bound = replace(bound, outputs=signature_of(config).outputs)
        checked = stages.run_eagerly(bound, plain(config), self.place)
        self.laps.lap("check")
        selection = Selection(config, bound.module, bound.samples, checked, bound.identity)
        ready, compiled = selection.opened(known.candidate)
        if compiled.eager and known.candidate.backend != EAGER:
            return None
        self.laps.lap("compile")
        set_arithmetic(ready.config, config.fixed_shapes)
        runner = Runner(compiled.forward, bound.samples.model_inputs, ready.outputs, ready.layout)
        chosen = Contender(known.candidate, ready, compiled, runner, {})
        try:
            warmed, ran = stages.warm_again(chosen, known)
            self.laps.lap("warm")
            mistake_checks.spot_check(warmed.runner, checked.reference, bound.samples, ready.config)
        except ModelError as error:
            _log.warning("%s: an earlier start found otherwise, so all is checked: %s", config.name, error.what)
            return None
        self.laps.lap("compare")
        checks = Checks(**{_FIELDS[type(each)]: each for each in known.checks})  # type: ignore[arg-type]
        checks = replace(
            checks,
            warmed_shapes=replace(checks.warmed_shapes, ran=ran),
            compilation=replace(checks.compilation, made=compiled.made),
            device=replace(checks.device, asked=config.device, fallback=self.fallback),
        )
        return self._opened(bound, config, checked, ready, warmed, checks, known.table)

    def _opened(
        self,
        bound: stages.BoundModel,
        config: ModelConfig,
        checked: Eager,
        ready: Prepared,
        warmed: Warmed,
        checks: Checks,
        table: tuple[Tried, ...],
    ) -> OpenedModel:
        if config.random:
            # Else replicas would all draw the same, if the factory seeds torch.
            torch.seed()
        warmed.runner.unwarmed = 0  # The start's own rows may be larger than any warmed size.
        return OpenedModel(
            config=config,
            runner=warmed.runner,
            samples=ready.samples,
            postprocess=bound.postprocess,
            checks=checks,
            forward_ms=warmed.forward_ms,
            start_s=self.laps.start_s,
            precision=ready.config.precision,
            inputs_passed=bound.passed,
            outputs_read=checked.reading.how,
            candidates=table,
        )
