"""From a config to a model that may serve, in stages; each takes the values of earlier stages.

source → bound → checked eagerly → candidates compiled and timed → the fastest warmed → checked → compared → sizes
chosen; if it fails a check, the next candidate. Where an earlier start of the same model has found all that, its
outcome is taken after a comparison with eager.
"""

import logging
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import torch

from configs import precisions
from configs.backends import AUTO, EAGER
from configs.schema import ModelConfig

from ..compile import store
from ..compile.build import Compiled
from ..compile.store import Key
from ..errors import ModelError, first_line
from ..runtime.forward_times import ends
from ..runtime.memory import release
from ..runtime.seeding import seed_of
from ..signature import Shape, signature_of
from ..sources.hooks import Hook
from . import kept_start, mistake_checks, stages
from .acceptance import Compared, Expected, acceptance, expected
from .acceptance_result import Acceptance
from .candidates import Candidate, Tried, field_of
from .check_error import CheckError, failing, noting
from .check_results import CoBatchedRows, Compilation, Padding
from .contender import Contender, entered
from .eager_checks import Eager
from .kept_start import KeptStart
from .opened_model import Checks, OpenedModel
from .precision import plain
from .prepare import set_arithmetic
from .prepared import Prepared
from .row_checks import prepared
from .selection import Selection
from .warmup import Warmed, compared_ms

_log = logging.getLogger("pitstop")
# How long eager may answer for the measures of `accept`: a start has little time, a build has much.
_EXPECTED_S, _BUILD_EXPECTED_S = 3.0, 120.0


class Laps:
    """A stopwatch: `lap` adds to a step what has passed since the last one."""

    def __init__(self) -> None:
        self.start_s: dict[str, float] = {}
        self._since = time.perf_counter()

    def lap(self, step: str) -> None:
        now = time.perf_counter()
        self.start_s[step] = self.start_s.get(step, 0.0) + now - self._since
        self._since = now


@dataclass(slots=True)
class Start:
    """A start on its way; `run` is called once."""

    config: ModelConfig
    place: torch.device
    fallback: str | None
    kept: bool
    minutes: bool
    laps: Laps = field(default_factory=Laps)
    expected: Expected | None = None
    # Candidates whose kept artefact answered otherwise than the network.
    stale: set[Candidate] = field(default_factory=set)

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
        selection = Selection(
            config, bound.module, bound.samples, checked, bound.identity, self.minutes, key, self.stale
        )
        candidates, failed = field_of(config, self.place.type, checked.arithmetic, self.minutes), list[CheckError]()
        for chosen in selection.fastest_first(candidates):
            self.laps.lap("compile")
            try:
                checks, warmed = self._proved(chosen, checked, config, bound.postprocess)
            except CheckError as error:
                if self._drops(chosen.candidate, chosen.compiled, error):
                    break
                if len(candidates) == 1:
                    raise
                _log.warning("%s: %s may not serve: %s", config.name, chosen.candidate, error.what)
                # One that is not near enough tells of its precision, unless that is eager's own.
                far = error.result.check == Acceptance.check
                alike = far and chosen.candidate.precision != checked.reference.precision
                selection.refuse(chosen.candidate, error.what, precision=alike)
                failed.append(error)
                # A candidate that is refused must leave the memory.
                release(error)
                del chosen
                continue
            table = selection.choose(chosen.candidate)
            for each in table if len(table) > 1 else ():
                _log.info("%s: %s", config.name, each.line)
            opened = self._opened(bound, config, checked, chosen.ready, warmed, checks, table)
            outcome = opened.chosen, chosen.packed_from, config.outputs, checks.results, opened.forward_ms, table
            # What a start leaves out, another may have ended: it is tried again after a day.
            if self.minutes or not selection.left_out:
                kept_start.write(key, KeptStart(*outcome), self.minutes)
            return opened
        else:
            raise failed[0]
        # What is made anew may be faster or slower than what was kept, so all are compared again.
        del chosen
        return self._anew(bound, config, key)

    def _drops(self, candidate: Candidate, compiled: Compiled, error: CheckError) -> bool:
        """Use no more what was kept of a candidate, where that differs from eager; return whether it was kept."""
        # Padding and other rows are compared with eager too, and before the rest is.
        differs = error.result.check in (Padding.check, CoBatchedRows.check, Compilation.check)
        if not differs or compiled.made != "before" or candidate in self.stale:
            return False
        self.stale.add(candidate)
        _log.warning(
            "%s: what was kept of %s answers otherwise than the network, so it is removed, and made anew where a start "
            "can compile it: %s",
            self.config.name,
            candidate,
            error.what,
        )
        return True

    def _proved(
        self, chosen: Contender, checked: Eager, config: ModelConfig, postprocess: Hook | None
    ) -> tuple[Checks, Warmed]:
        """Warm a candidate and run every check; raise a CheckError if it fails one."""
        ready, samples = chosen.ready, chosen.ready.samples
        chosen.use()
        with noting(samples.note):
            warmed = stages.warm_shapes(chosen)
            self.laps.lap("warm")
            rows = stages.prove_rows(ready, warmed.runner, checked.reference)
            self.laps.lap("prove")
            accept, took_ms = config.accept, dict[Shape, float]()
            with failing(Acceptance):
                seen = None if accept is None else Compared(accept, ready.outputs, samples)
            compared = mistake_checks.compilation(
                chosen.compiled,
                warmed.runner,
                checked.reference,
                samples,
                replace(checked.arithmetic, config=ready.config),
                asked=config.backend,
                took_ms=took_ms,
                seen=seen,
            )
            warmed = stages.choose_sizes(ready, replace(warmed, forward_ms=compared_ms(warmed.forward_ms, took_ms)))
        near = None if seen is None else self._accepted(chosen, warmed, checked, config, postprocess, seen)
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
        seen: Compared,
    ) -> Acceptance:
        """Hold a candidate against the config's `accept`; raise a CheckError if it is not near enough to eager."""
        assert config.accept is not None
        with failing(Acceptance):
            # What is compared anyway is enough for a start. A build has time for more, and labelled rows are not in it.
            if config.accept.accuracy is None and not self.minutes:
                found = seen.result()
            else:
                if self.expected is None:
                    budget_s = _BUILD_EXPECTED_S if self.minutes else _EXPECTED_S
                    self.expected = expected(checked.reference, chosen.ready.samples, config, postprocess, budget_s)
                found = acceptance(prepared(warmed.runner, seed_of(config)), self.expected, seen)
            if found.code == "failed":
                ways = _ways_out(chosen.candidate, config, checked, found)
                raise ModelError(f"{chosen.candidate}: {found.sentence}\nhelp: {', or '.join(ways)}")
        return found

    def _again(self, bound: stages.BoundModel, config: ModelConfig, key: Key | None) -> OpenedModel | None:
        """Serve what a build or an earlier start chose, after a comparison with eager; None if none can be served."""
        for known in kept_start.read(key, config):
            try:
                opened = self._as_known(known, bound, config, key)
                if opened is not None:
                    return opened
            except Exception as error:  # An error of the network's shows again where all is checked.
                what = error.what if isinstance(error, ModelError) else first_line(error)
                _log.warning("%s: what %s found does not hold: %s", config.name, known.maker, what)
            if self.stale:  # What is made anew is compared at every shape.
                return None
        return None

    def _as_known(
        self, known: KeptStart, bound: stages.BoundModel, config: ModelConfig, key: Key | None
    ) -> OpenedModel | None:
        """Serve it; return None, or raise whatever it is, if it cannot be served."""
        config = config.model_copy(update={"outputs": known.outputs})
        bound = replace(bound, outputs=signature_of(config).outputs)
        checked = stages.run_eagerly(bound, plain(config), self.place)
        kept_start.check_compared(known, config, self.place.type, checked.arithmetic)
        self.laps.lap("check")
        selection = Selection(config, bound.module, bound.samples, checked, bound.identity, stale=self.stale)
        ready, compiled = selection.opened(known.candidate)
        if compiled.eager and known.candidate.backend != EAGER:
            return None
        if {*known.forward_ms} != {*ready.layout.shapes}:
            raise ModelError("its times are of other batch shapes")
        self.laps.lap("compile")
        chosen = entered(known.candidate, ready, compiled)
        warmed, ran = stages.warm_again(chosen, known)
        self.laps.lap("warm")
        try:
            mistake_checks.spot_check(compiled, warmed.runner, checked.reference, bound.samples, ready.config)
        except CheckError as error:
            if self._drops(known.candidate, compiled, error):
                return None
            raise
        self.laps.lap("compare")
        checks = Checks.of(known.checks)
        checks = replace(
            checks,
            warmed_shapes=replace(checks.warmed_shapes, ran=ran),
            compilation=replace(checks.compilation, made=compiled.made),
            device=mistake_checks.device(config, warmed.runner, self.fallback, ends(warmed.forward_ms)[1].rows_s),
            batching=mistake_checks.batching(warmed.forward_ms),
        )
        if warmed.forward_ms != known.forward_ms:
            kept_start.correct(key, replace(known, checks=checks.results, forward_ms=warmed.forward_ms))
        opened = self._opened(bound, config, checked, ready, warmed, checks, known.table)
        return replace(opened, checked_by=known.maker)

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


def _ways_out(candidate: Candidate, config: ModelConfig, checked: Eager, found: Acceptance) -> Iterator[str]:
    """Yield what may be done about a candidate that is not near enough."""
    yield "ask for less in accept if that is good enough"
    if candidate.backend != EAGER and config.backend != AUTO:
        yield "use backend: auto, which goes on to the next"
    if candidate.precision != checked.reference.precision and config.precision != precisions.AUTO:
        yield "use precision: auto, which goes on to the next"
    if "random" in found.source:
        yield "name rows of your own as example"
