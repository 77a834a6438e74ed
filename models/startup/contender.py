"""A candidate that runs: the module in its precision, what was compiled of it, and its forward in ms where it ran."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import cycle, islice
from math import inf

from ..compile.build import Compiled
from ..runtime.runner import Runner
from ..signature import Rows, Shape
from .candidates import Candidate
from .onednn_packing import pack
from .prepare import set_arithmetic
from .prepared import Prepared
from .sample_inputs import SampleInputs
from .warmup import quick_shapes, run_ms, warm

# A processor that is throttled in bursts, as by a cgroup's quota, goes through a slow and a fast phase in this time. A
# forward that takes longer spans both, and a turn of it is dear: it runs once in each, and what is clear ends them.
_PHASES_MS = 100
_SLOW_CLEAR = (1.3, 1.1, 1.0)
# A quicker one gets short turns, and half of them in any case, so that both candidates meet both phases. It runs twice
# in each: the first run finds the other's numbers in the processor's caches.
_RUNS, _LEAST_TURN_MS, _ALL_TURNS_MS = 2, 5, 200
_LEAST_TURNS, _MOST_TURNS = 3, 12
_CLEAR = 1.3
_MOST_RUNS = 50
# At so many times the other's forward on the smallest batch a candidate is given up.
_HOPELESS = 2.0

# The forward of one and of another at a shape, in ms.
InTurns = dict[Shape, tuple[float, float]]


@dataclass(frozen=True, slots=True)
class Contender:
    """A candidate that runs."""

    candidate: Candidate
    ready: Prepared
    compiled: Compiled
    runner: Runner
    forward_ms: dict[Shape, float]
    packed_from: int | None = None

    def use(self) -> None:
        """Set the process's arithmetic to this one's."""
        set_arithmetic(self.ready.config, self.ready.config.fixed_shapes)


def entered(candidate: Candidate, ready: Prepared, compiled: Compiled) -> Contender:
    """Return a candidate that has not run yet, with the process's arithmetic set to its own."""
    runner = Runner(compiled.forward, ready.samples.model_inputs, ready.outputs, ready.layout)
    found = Contender(candidate, ready, compiled, runner, {})
    found.use()
    return found


def alone(candidate: Candidate, ready: Prepared, compiled: Compiled) -> Contender:
    """Return a candidate that runs, timed at every batch size that is not slow, packed where that is faster."""
    entrant = entered(candidate, ready, compiled)
    return _packed(entrant, quick_shapes(entrant.runner, ready.samples))


def challenger(
    candidate: Candidate, ready: Prepared, compiled: Compiled, champion: Contender, samples: SampleInputs
) -> tuple[Contender | None, InTurns]:
    """Return a candidate that runs the shapes that the champion ran, and the times of both; None where it is given up.

    It runs the smallest of them first: in a precision that a processor lacks, the others could take minutes.
    """
    entrant = entered(candidate, ready, compiled)
    least, *others = sorted(champion.forward_ms, key=lambda shape: shape[0])
    times = warm(entrant.runner, ready.samples, [least])
    if times[least] > _HOPELESS * champion.forward_ms[least]:
        both: InTurns = {least: (times[least], champion.forward_ms[least])}
        if times[least] <= _PHASES_MS:
            both = times_in_turns(replace(entrant, forward_ms=times), champion, samples, [least])
        if both[least][0] > _HOPELESS * both[least][1]:
            return None, both
        entrant.use()
    found = _packed(entrant, times | warm(entrant.runner, ready.samples, others))
    return found, times_in_turns(found, champion, samples, compared_at(champion.forward_ms))


def compared_at(timed: Iterable[Shape]) -> list[Shape]:
    """Return the shapes at which candidates are compared: the smallest, the middle and the largest batch."""
    shapes = sorted(timed, key=lambda shape: shape[0])
    return list(dict.fromkeys((shapes[0], shapes[len(shapes) // 2], shapes[-1])))


def times_in_turns(one: Contender, champion: Contender, samples: SampleInputs, shapes: Sequence[Shape]) -> InTurns:
    """Return the forward of one and of the champion at each shape, in ms, measured in turns."""
    return {shape: _in_turns(one, champion, shape, samples.shaped(shape, seed=6)) for shape in shapes}


def _in_turns(one: Contender, champion: Contender, shape: Shape, rows: Rows) -> tuple[float, float]:
    pairs: list[tuple[Contender, list[float]]] = [(one, []), (champion, [])]
    slowest_ms = max(one.forward_ms[shape], champion.forward_ms[shape])
    turn_ms, clear = _turns(slowest_ms)
    for turn, enough in enumerate(clear):
        # The one that goes first in a turn goes second in the next.
        for each, took_ms in islice(cycle(pairs), turn % 2, turn % 2 + 2):
            each.use()
            runs = min(_MOST_RUNS, max(1, round(turn_ms / each.forward_ms[shape])))
            took_ms += [run_ms(each.runner, rows) for _ in range(runs)]
        ones_ms, champions_ms = (_undisturbed(took_ms) for _, took_ms in pairs)
        if max(ones_ms / champions_ms, champions_ms / ones_ms) >= enough:
            break
    return ones_ms, champions_ms


def _turns(slowest_ms: float) -> tuple[float, Sequence[float]]:
    """Return how long one has in a turn, in ms, and after each turn at how many times the other's forward to stop."""
    if slowest_ms > _PHASES_MS:
        return slowest_ms, _SLOW_CLEAR
    turn_ms = max(_RUNS * slowest_ms, _LEAST_TURN_MS)
    turns = min(_MOST_TURNS, max(_LEAST_TURNS, round(_ALL_TURNS_MS / turn_ms)))
    least = max(_LEAST_TURNS, turns // 2)
    return turn_ms, [inf] * (least - 1) + [_CLEAR] * (turns - least + 1)


def _undisturbed(took_ms: Sequence[float]) -> float:
    """Return the time that an eighth of the runs took at most: what disturbs a forward only ever adds time."""
    return sorted(took_ms)[(len(took_ms) - 1) // 8]


def _packed(entrant: Contender, forward_ms: dict[Shape, float]) -> Contender:
    warmed = pack(entrant.runner, entrant.ready.samples, forward_ms)
    return replace(entrant, runner=warmed.runner, forward_ms=warmed.forward_ms, packed_from=warmed.packed_from)
