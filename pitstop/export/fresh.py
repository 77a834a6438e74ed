"""Fresh inputs for an export: several seeds, batch sizes and open sizes, none of which the exporter was shown."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from configs.schema import OutputConfig
from models.compile.build import Draw
from models.errors import ModelError, first_line
from models.parity import TOLERANCES, compare, refuse_uncompared
from models.runtime.dims import all_sizes
from models.runtime.layout import Layout
from models.runtime.output_paths import Reading
from models.runtime.runner import in_order
from models.runtime.seeding import seeded
from models.signature import Shape, Sizes, Tensor, outputs_in
from models.startup.output_binding import reading_of
from models.startup.row_checks import compare_again
from models.startup.sample_inputs import SampleInputs
from models.user_code import call, call_at_start

from .job import Case

TOLERANCE = TOLERANCES["fp32"]
_SHOWN_ROWS = (4, 1, 9)
_SIZES = (1, 2, 3, 7, 16)
_SEEDS = 2
_FIRST_SEED = 1000
_CPU = torch.device("cpu")
LOOKED_AT = ("what forward returned", "it is looked at for the outputs: return tensors, and tuples or dicts of them")


@dataclass(frozen=True, slots=True)
class Shown:
    """A network as an exporter is shown it: with any number of rows, since nobody knows what a file will be asked."""

    module: nn.Module
    model_inputs: Sequence[Tensor]
    outputs: Sequence[Tensor]
    probes: Sequence[Sequence[torch.Tensor]]
    layout: Layout
    draw: Draw
    minutes: bool = True


def shown(module: nn.Module, samples: SampleInputs, outputs: Sequence[OutputConfig]) -> Shown:
    """Return a network with inputs of three sizes, the first of four rows."""
    probes = [staged(samples, rows, smallest(samples), seed=rows) for rows in _SHOWN_ROWS]
    layout = Layout(_CPU, torch.float32, False, tuple(sorted(_SHOWN_ROWS)), samples.dims, whole=True)

    def draw(shape: Shape, seed: int) -> list[torch.Tensor]:
        return staged(samples, *shape, seed)

    return Shown(module, samples.model_inputs, outputs_in(outputs), probes, layout, draw)


def steady(
    source: nn.Module, samples: SampleInputs, outputs: Sequence[OutputConfig], random_seed: int | None = None
) -> None:
    """Raise a ModelError where the source itself answers the same question in two ways, from the same seed if any."""
    named = outputs_in(outputs)
    inputs, others = (staged(samples, 3, smallest(samples), seed) for seed in (_FIRST_SEED, _FIRST_SEED + 1))

    def answer(rows: Sequence[torch.Tensor]) -> list[torch.Tensor]:
        # Copies: a network may return its own state, which the next call changes.
        return [each.clone() for each in in_order(ask(source, rows, samples, random_seed), named)]

    first, _ = answer(inputs), answer(others)
    what = "the source, asked the same twice,"
    advice = (
        "the forward draws random numbers or keeps state: use nn.Dropout, not functional.dropout, and no counters; "
        "if it is meant to draw, export it by --config with random: true"
    )
    if random_seed is not None:
        what = "the source, asked the same twice with the same seed,"
        advice = "the forward keeps state, or draws what torch's seed does not reach: draw from torch's own generator"
    compare_again(lambda: answer(inputs), first, named, TOLERANCE, what, advice)


def smallest(samples: SampleInputs) -> Sizes:
    """Return the smallest sizes of the open dimensions."""
    return all_sizes(samples.dims)[0]


def reading_in(source: nn.Module, samples: SampleInputs, outputs: Sequence[OutputConfig]) -> Reading:
    """Return how the outputs are read from what the source returns."""
    rows = 3
    found = ask(source, staged(samples, rows, smallest(samples), _FIRST_SEED), samples)
    return call_at_start(*LOOKED_AT, reading_of, found, outputs_in(outputs), rows)


def compared(
    source: nn.Module,
    made: Callable[..., Any],
    samples: SampleInputs,
    outputs: Sequence[OutputConfig],
    random_seed: int | None = None,
) -> tuple[Case, ...]:
    """Return how far an artefact is off its source, both from the same seed if any; a ModelError where it answers
    otherwise."""
    named = outputs_in(outputs)
    cases, seen = [], set[str]()
    for rows, sizes, seed in _cases(samples):
        found = _off(source, made, samples, named, (rows, sizes), seed, random_seed)
        seen |= found.keys()
        cases.append(Case(rows=rows, sizes=sizes, seed=seed, deviation=max(found.values(), default=0.0)))
    refuse_uncompared(seen, named)
    return tuple(cases)


def ask(
    module: nn.Module, inputs: Sequence[torch.Tensor], samples: SampleInputs, random_seed: int | None = None
) -> Any:
    """Return what the source answers, as it returns it; a ModelError where it cannot take these inputs."""
    try:
        with torch.inference_mode(), seeded(random_seed, _CPU):
            # A copy: a network that works in place would change the question that the artefact is asked next.
            return call(module, *[each.clone() for each in inputs])
    except Exception as error:  # The network's own code; whatever it raises, the inputs do not suit it.
        shapes = ", ".join(
            f"{each.name} {list(value.shape)}" for each, value in zip(samples.model_inputs, inputs, strict=True)
        )
        raise ModelError(
            f"the network cannot take {shapes} ({first_line(error)})\n"
            "help: check --input: names or order as forward has them, datatypes, shapes for any number of rows"
        ) from error


def staged(samples: SampleInputs, rows: int, sizes: Sizes, seed: int) -> list[torch.Tensor]:
    arrays = samples.shaped((rows, sizes), seed)
    return [torch.from_numpy(arrays[tensor.name]) for tensor in samples.model_inputs]


def _cases(samples: SampleInputs) -> Iterator[tuple[int, Sizes, int]]:
    least, *others = all_sizes(samples.dims)
    shapes = [(rows, sizes) for rows in _SIZES for sizes in (least, *others[-1:])]
    for index, (rows, sizes) in enumerate(shapes * _SEEDS):
        yield rows, sizes, _FIRST_SEED + index


def _off(
    source: nn.Module,
    made: Callable[..., Any],
    samples: SampleInputs,
    outputs: tuple[Tensor, ...],
    shape: Shape,
    seed: int,
    random_seed: int | None,
) -> dict[str, float]:
    rows, inputs = shape[0], staged(samples, *shape, seed)
    expected = in_order(ask(source, inputs, samples, random_seed), outputs)
    try:
        with torch.inference_mode(), seeded(random_seed, _CPU):
            found = in_order(made(*[each.clone() for each in inputs]), outputs)
    except (RuntimeError, AssertionError, ValueError, TypeError) as error:
        what = f"at {rows} rows the exported model fails ({type(error).__name__})"
        help_ = "take every size from the input, never from a constant, or export to another kind"
        raise ModelError(f"{what}, where its source answers\nhelp: {help_}") from error
    advice = "the exported model does not do what its source does; export to another kind (--to)"
    return compare(found, expected, outputs, TOLERANCE, f"exported, at {rows} rows, it", advice)
