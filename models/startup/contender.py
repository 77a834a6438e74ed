"""A candidate that runs: the module in its precision, what was compiled of it, and its forward in ms where it ran."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import cycle, islice
from math import exp, log
from statistics import median

from ..compile.build import Compiled
from ..runtime.runner import Runner
from ..signature import Shape
from .candidates import Candidate
from .onednn_packing import pack
from .prepare import set_arithmetic
from .prepared import Prepared
from .sample_inputs import SampleInputs
from .warmup import quick_shapes, run_ms, warm

_TURNS = 3
# Each gets about the time of the slowest one's forward in a turn, and at least this.
_LEAST_TURN_MS = 50
_MOST_RUNS = 50
# At so many times the other's forward on a single row a candidate is given up; after a turn, and after two, the faster
# of two is clear.
_HOPELESS, _CLEAR = 2.0, (1.3, 1.1)


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


def challenger(candidate: Candidate, ready: Prepared, compiled: Compiled, champion: Contender) -> Contender | float:
    """Return a candidate that runs the shapes that the champion ran; how many times slower it is where that is clear.

    It runs the smallest of them first: in a precision that a processor lacks, the others could take minutes.
    """
    entrant = entered(candidate, ready, compiled)
    least, *others = sorted(champion.forward_ms, key=lambda shape: shape[0])
    times = warm(entrant.runner, ready.samples, [least])
    if (slower := times[least] / champion.forward_ms[least]) > _HOPELESS:
        return slower
    return _packed(entrant, times | warm(entrant.runner, ready.samples, others))


def ratio_in_turns(one: Contender, champion: Contender, samples: SampleInputs) -> float:
    """Return the time of one's forward over the champion's, measured in turns, averaged over batch sizes."""
    shapes = _thin(sorted(champion.forward_ms, key=lambda shape: shape[0]))
    drawn = {shape: samples.shaped(shape, seed=6) for shape in shapes}
    times: dict[Shape, tuple[list[float], list[float]]] = {shape: ([], []) for shape in shapes}
    for turn in range(_TURNS):
        for shape, rows in drawn.items():
            slowest = max(one.forward_ms[shape], champion.forward_ms[shape], _LEAST_TURN_MS)
            pairs = list(zip((one, champion), times[shape], strict=True))
            # The one that goes first in a turn goes second in the next.
            for each, took_ms in islice(cycle(pairs), turn % 2, turn % 2 + 2):
                each.use()
                runs = min(_MOST_RUNS, max(1, round(slowest / each.forward_ms[shape])))
                took_ms += [run_ms(each.runner, rows) for _ in range(runs)]
        ratio = _ratio(list(times.values()))
        if max(ratio, 1 / ratio) > _CLEAR[min(turn, len(_CLEAR) - 1)]:
            break
    return ratio


def _ratio(times: Sequence[tuple[Sequence[float], Sequence[float]]]) -> float:
    return exp(sum(log(median(one) / median(other)) for one, other in times) / len(times))


def _thin(shapes: Sequence[Shape]) -> list[Shape]:
    return list(dict.fromkeys((shapes[0], shapes[len(shapes) // 2], shapes[-1])))


def _packed(entrant: Contender, forward_ms: dict[Shape, float]) -> Contender:
    warmed = pack(entrant.runner, entrant.ready.samples, forward_ms)
    return replace(entrant, runner=warmed.runner, forward_ms=warmed.forward_ms, packed_from=warmed.packed_from)
