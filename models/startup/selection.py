"""Finds how a model's forward runs fastest: the candidates that can run are measured in turns.

At most two are in memory at once, the fastest so far and the next. Whether the fastest may serve is decided by the
checks of the start; where it may not, the next is opened again.
"""

import logging
from collections.abc import Collection, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import groupby
from math import inf
from statistics import geometric_mean

import torch

from configs.backends import EAGER
from configs.precisions import quantizes
from configs.schema import ModelConfig

from ..compile.build import Compiled, Uncompiled, compile_with
from ..compile.quantized import no_candidate
from ..compile.refused import Refused, sentences
from ..errors import ModelError, first_line
from ..runtime.dims import all_sizes
from ..runtime.forward_times import WINS, ends
from ..runtime.layout import Layout
from ..signature import Shape, label
from ..user_code import call
from .attempts import LEFT_OUT, Phase, attempt
from .candidates import Candidate, Field, Outcome, Tried
from .contender import Contender, alone, challenger, compared_at
from .eager_checks import Eager
from .prepared import Prepared, prepare_module
from .row_checks import count_of, staged
from .sample_inputs import SampleInputs

_log = logging.getLogger("pitstop")


@dataclass(slots=True)
class Selection:
    """The candidates of a loaded module that was checked eagerly, and what came of each.

    `identity` names what is kept of it, `key` the start itself; `minutes` says that compiling may take so long. What
    was kept of the `stale` candidates is removed.
    """

    config: ModelConfig
    module: torch.nn.Module
    samples: SampleInputs
    checked: Eager
    identity: str | None = None
    minutes: bool = False
    key: str | None = None
    stale: Collection[Candidate] = ()
    tried: dict[Candidate, Tried] = field(default_factory=dict)
    # Whether one was not tried, since it has ended the process of other starts.
    left_out: bool = False
    # Of each candidate that ran, in their order: its forward over the first one's, by shape, and the first one's in ms.
    _over_first: dict[Candidate, dict[Shape, float]] = field(default_factory=dict)
    _first_ms: dict[Shape, float] = field(default_factory=dict)
    _refused: tuple[Refused, ...] = ()
    _failures: list[ModelError] = field(default_factory=list)

    def fastest_first(self, given: Field) -> Iterator[Contender]:
        """Yield the fastest candidate, then, for a caller that cannot serve it, the next, and so on.

        Raises:
            ModelError: none can run.
        """
        champion = self._fastest(given.asked, len(given) == 1) or self._fastest(given.otherwise)
        if champion is None:
            raise (
                self._failures[0]
                if self._failures
                else ModelError(
                    f"nothing can run: {'; '.join(each.line for each in self.tried.values())}\n"
                    "help: use backend: eager, which runs the network as it is"
                )
            )
        first = champion.candidate
        ranked = sorted(self._over_first, key=lambda each: self._times(each, first))
        with self._attempt(first, "checked"):
            yield champion
        del champion
        for candidate in ranked:
            if candidate != first and self.tried[candidate].outcome != "refused":
                _log.info("%s: %s is next", self.config.name, candidate)
                with self._attempt(candidate, "checked"):
                    yield alone(candidate, *self.opened(candidate))

    def opened(self, candidate: Candidate) -> tuple[Prepared, Compiled]:
        """Return a candidate that an earlier start has chosen, not run yet."""
        ready = self._ready(candidate.precision)
        return ready, self._compiled(candidate, ready)

    def refuse(self, candidate: Candidate, reason: str, precision: bool = False) -> None:
        """Note that a check has refused a candidate, or its precision, whatever the backend."""
        self.tried[candidate] = replace(self.tried[candidate], outcome="refused", reason=reason)
        for each, row in self.tried.items():
            if precision and each.precision == candidate.precision and row.outcome == "not_faster":
                self.tried[each] = replace(row, outcome="refused", reason=f"as {candidate}")

    def choose(self, candidate: Candidate) -> tuple[Tried, ...]:
        """Note that a candidate serves; return the table of all: the chosen one, then those that ran by their times."""
        for each, over_first in self._over_first.items():
            row, times = self.tried[each], round(self._times(each, candidate), 3)
            forward_ms = {shape: ratio * self._first_ms[shape] for shape, ratio in over_first.items()}
            self.tried[each] = replace(
                row,
                reason=self._why(each, candidate, times) if row.outcome == "not_faster" else row.reason,
                rows_s=ends(forward_ms)[1].rows_s,
                forward_ms={label(shape): round(ms, 4) for shape, ms in sorted(forward_ms.items())},
                times=times,
            )
        self.tried[candidate] = replace(self.tried[candidate], outcome="chosen", reason="", times=1.0)
        return tuple(sorted(self.tried.values(), key=_place))

    def _times(self, one: Candidate, other: Candidate) -> float:
        """Return how many times the other's forward one's takes, averaged over the shapes that both ran."""
        ones, others = self._over_first[one], self._over_first[other]
        return geometric_mean(ratio / others[shape] for shape, ratio in ones.items() if shape in others)

    def _why(self, loser: Candidate, chosen: Candidate, times: float) -> str:
        ran, all_ran = self._over_first[loser], max(map(len, self._over_first.values()))
        if len(ran) < all_ran:
            [(rows, _)] = ran
            return f"takes {times:.2f} times as long as {chosen} on a batch of {rows}, so nothing else was run"
        if WINS <= times <= 1 / WINS:
            near = f"as fast as {chosen} within {100 * (1 - WINS):.0f} %, which a start's timings cannot tell apart"
            return f"{near} ({times:.2f} times as long, in turns)"
        return f"takes {times:.2f} times as long as {chosen}, in turns"

    def _fastest(self, candidates: Sequence[Candidate], only: bool = False) -> Contender | None:
        champion: Contender | None = None
        for precision, group in groupby(candidates, lambda each: each.precision):
            try:
                with self._attempt(precision) as may:
                    if not may:
                        self.left_out = True
                        raise ModelError(f"{precision}: {LEFT_OUT}")
                    ready = self._ready(precision)
            except ModelError as error:
                for each in group:
                    self.tried[each] = Tried(*_named(each), "refused", error.what)
                self._failures.append(error)
                continue
            for candidate in group:
                with self._attempt(candidate) as may:
                    if may or only:
                        champion = self._enter(candidate, ready, champion, only)
                    else:
                        self.left_out = True
                        self.tried[candidate] = Tried(*_named(candidate), "refused", LEFT_OUT)
        return champion

    def _attempt(self, of: Candidate | str, phase: Phase = "tried") -> AbstractContextManager[bool]:
        """Note an attempt at a candidate or a precision, but not at the network as it is: what else could serve?"""
        own = self.checked.arithmetic.config.precision
        return attempt(None if of in (own, Candidate(EAGER, own)) else self.key, of, phase)

    def _enter(self, candidate: Candidate, ready: Prepared, champion: Contender | None, only: bool) -> Contender | None:
        """Let a candidate run against the fastest so far; return which of them is faster."""
        compiled = self._compiled(candidate, ready)
        if compiled.eager and candidate.backend != EAGER:
            refused = tuple(each for each in compiled.refused if each.code != "not_built")
            outcome: Outcome = "refused" if refused else "not_built"
            self.tried[candidate] = Tried(*_named(candidate), outcome, sentences(compiled.refused))
            self._refused += tuple(each for each in refused if each not in self._refused)
            if not only:
                return champion
            candidate = Candidate(EAGER, candidate.precision)
        try:
            if champion is None:
                first = alone(candidate, ready, compiled)
                self._first_ms = first.forward_ms
                self._over_first[candidate] = dict.fromkeys(compared_at(first.forward_ms), 1.0)
                self.tried[candidate] = Tried(*_named(candidate), "not_faster")
                return first
            found, times = challenger(candidate, ready, compiled, champion, self.samples)
        except ModelError as error:
            self._failures.append(error)
            self.tried[candidate] = Tried(*_named(candidate), "refused", error.what)
            return champion
        champions = self._over_first[champion.candidate]
        if champion.candidate == next(iter(self._over_first)):
            self._first_ms = self._first_ms | {shape: ms for shape, (_, ms) in times.items()}
        self._over_first[candidate] = {shape: champions[shape] * ms / other for shape, (ms, other) in times.items()}
        self.tried[candidate] = Tried(*_named(candidate), "not_faster")
        wins = found is not None and self._times(candidate, champion.candidate) <= WINS
        return found if wins else champion

    def _compiled(self, candidate: Candidate, ready: Prepared) -> Compiled:
        config = ready.config.model_copy(update={"backend": candidate.backend})
        inputs, outputs, layout = ready.samples.model_inputs, ready.outputs, ready.layout
        given = Uncompiled(
            ready.module,
            probes_of(ready.samples, layout),
            inputs,
            outputs,
            layout,
            config,
            self.identity,
            self.minutes,
            partial(staged, ready.samples, layout),
            publish=self.minutes,
            stale=candidate in self.stale,
        )
        if self.minutes:
            _log.info("%s: tries %s", self.config.name, candidate)
        made = compile_with(given)
        eager_at_last = made.eager and candidate.backend == EAGER
        return replace(made, refused=self._refused) if eager_at_last else made

    def _ready(self, precision: str) -> Prepared:
        """Return the module in a precision in which it runs eagerly.

        What is compiled in another might end the process: TorchScript in bf16 does so where forward makes float32 of
        an input.
        """
        own = self.checked.arithmetic.config
        if quantizes(precision) and precision != own.precision and (reason := no_candidate(self.module)):
            raise ModelError(reason)
        config = own.model_copy(update={"precision": precision})
        ready = prepare_module(self.module, self.samples, self.checked, config)
        if precision != own.precision:
            probe = probes_of(ready.samples, ready.layout)[-1]
            try:
                with torch.inference_mode():
                    call(ready.module, *probe)
            except Exception as error:  # The user's own code.
                raise ModelError(f"eager does not run in {precision}: {first_line(error)}") from error
        return ready


def probes_of(samples: SampleInputs, layout: Layout) -> list[list[torch.Tensor]]:
    """Return inputs on the device, of several batch sizes and of the smallest and the largest sizes."""
    sizes = {layout.sizes[0], count_of(layout.sizes[-1]), layout.sizes[-1]}
    least, *others = all_sizes(layout.dims)
    return [
        staged(samples, layout, (size, open_sizes), seed)
        for seed, size in enumerate(sorted(sizes, reverse=True))
        for open_sizes in (least, *others[-1:])
    ]


def _place(row: Tried) -> tuple[bool, float]:
    return row.outcome != "chosen", inf if row.times is None else row.times


def _named(candidate: Candidate) -> tuple[str, str]:
    return candidate.backend, candidate.precision
