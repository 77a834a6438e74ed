"""The checks before anything is compiled: the eager model runs as declared, and gives the same answers twice."""

import copy
from collections.abc import Mapping, Sequence
from contextlib import nullcontext, suppress
from dataclasses import dataclass, replace

import torch
from torch import nn

from configs.schema import ModelConfig

from ..errors import ModelError
from ..parity import compare
from ..runtime.dims import Dim
from ..runtime.layout import Layout
from ..runtime.output_paths import Reading
from ..runtime.seeding import seed_of
from ..signature import Tensor
from ..user_code import call
from .check_error import failing, noted
from .check_results import InferenceMode
from .declared_dtypes import check_returned, fails
from .eager_reference import Reference, eager_of
from .embedded_inputs import EmbeddedInputs
from .network_outputs import Returned, network_outputs
from .output_binding import reading_of
from .precision import Arithmetic, choices
from .prepare import in_layout, layout_of, refuse_cast
from .row_checks import probe_rows, repeated, same_twice
from .sample_inputs import SampleInputs

# So many sizes are tried where a network takes no other than the warmed one.
_TRIED = 64
_FIRST = "the network keeps what it saw first: compute such values beforehand, and load them with the weights"


@dataclass(frozen=True, slots=True)
class Eager:
    """A model that runs eagerly, with the arithmetic and the layout for the prepared one.

    `reading`: how its outputs are read from what it returns. `embedded`: how many rows the embedding has that an input
    goes straight into.
    """

    reference: Reference
    reading: Reading
    arithmetic: Arithmetic
    layout: Layout
    embedded: Mapping[str, int]


def eager(
    module: nn.Module,
    config: ModelConfig,
    device: torch.device,
    samples: SampleInputs,
    outputs: tuple[Tensor, ...],
    found_for: str = "postprocess",
) -> Eager:
    """Return the eager model in the first arithmetic that it runs in; the same rows must get the same answers twice.

    Raises:
        ModelError: it runs in none, does not return what is declared, or gives the same rows two different answers.
    """
    fresh = _copied(module)
    eager = first_that_runs(module, config, device, samples, outputs, found_for)
    with failing(InferenceMode):
        answered = same_twice(eager.reference, samples, eager.reference.layout, eager.reference.outputs, config.random)
        if fresh is not None:
            _same_whoever_came_first(eager, answered, fresh, samples)
    return eager


def first_that_runs(
    module: nn.Module,
    config: ModelConfig,
    device: torch.device,
    samples: SampleInputs,
    outputs: tuple[Tensor, ...],
    found_for: str = "postprocess",
) -> Eager:
    """Return the eager model in the first arithmetic that it runs in.

    Without `outputs` whatever has a row for each row is one: given to a postprocess hook, or to the client where the
    config leaves them out. `found_for` says which.
    """
    failure: ModelError | None = None
    for arithmetic in choices(config, module, outputs):
        layout = layout_of(arithmetic.config, device, arithmetic.as_declared, arithmetic.widened)
        refuse_cast(arithmetic.config, layout)
        reference = eager_of(module, samples, outputs, layout, seed_of(config))
        with EmbeddedInputs(reference.module, samples.model_inputs) as embedded:
            found = _reading(reference, samples, found_for)
        if not isinstance(found, ModelError):
            reading, given = found
            reads = reading.wrapped(reference.module, samples.model_inputs)
            return Eager(replace(reference, module=reads, outputs=given), reading, arithmetic, layout, embedded.rows)
        failure = failure or found
    assert failure is not None
    raise failure


def _copied(module: nn.Module) -> nn.Module | None:
    """Return a copy that has not run yet; None if the network cannot be copied."""
    try:
        return call(copy.deepcopy, module)
    except Exception:  # The user's own code.
        return None


def _same_whoever_came_first(
    found: Eager, answered: Sequence[torch.Tensor], fresh: nn.Module, samples: SampleInputs
) -> None:
    """Raise ModelError if a network's answers depend on the rows that it ran first."""
    reference = found.reference
    rows, others = probe_rows(samples, reference.layout.sizes[-1])
    reads = found.reading.wrapped(in_layout(fresh, reference.layout), samples.model_inputs)
    started_otherwise = replace(reference, module=reads)
    started_otherwise(others)
    kept = "the same input, asked after other rows than at first,"
    compare(started_otherwise(rows), answered, reference.outputs, repeated(reference.layout), kept, _FIRST)


def _reading(
    reference: Reference, samples: SampleInputs, found_for: str
) -> tuple[Reading, tuple[Tensor, ...]] | ModelError:
    """Run a few rows, and return where the outputs are in the answer, and the outputs; or what is wrong with it."""
    rows, _ = probe_rows(samples, reference.layout.sizes[-1])
    count = len(rows[samples.model_inputs[0].name])
    try:
        returned = reference.returned(rows)
        # What forward returned is the user's code too.
        if reference.outputs:
            found, outputs = call(reading_of, returned, reference.outputs, count), reference.outputs
        else:
            one = Returned(returned, count, samples.sizes_of(rows))
            found, outputs = call(network_outputs, one, _otherwise(reference, samples, one), found_for)
        check_returned(found(returned, reference.layout.device), outputs)
        return found, outputs
    except ModelError as error:
        return error
    except Exception as error:  # Models may raise anything.
        said = noted(fails(error, rows, reference.model_inputs, reference.layout), samples.note)
        said.__cause__ = error
        return said


def _otherwise(reference: Reference, samples: SampleInputs, one: Returned) -> list[Returned]:
    """Run another number of rows, where there is one, for each open dimension with two other sizes of it."""
    rows, least, runs = max(1, one.rows - 1), samples.least, list[Returned]()
    for dim in samples.dims:
        # An odd one between them tells n//2 from n/2, and both from n-8.
        between = (dim.sizes[0] + dim.sizes[-1]) // 2 | 1
        tried = sorted({dim.sizes[0], between, dim.sizes[-1], max(1, dim.sizes[0] // 2)} - {one.sizes[dim.name]})
        before = len(runs)
        for size in tried:
            # A network need not take a size that no batch will have.
            with nullcontext() if size in dim.sizes else suppress(Exception):
                runs.append(_run(reference, samples, rows, least | {dim.name: size}))
        if len(runs) == before:
            # It may want a multiple of some number; seen at one size, what follows it would look fixed.
            runs += _run_smaller(reference, samples, rows, dim)
    # What differs by chance, as a count does, may be the same in two runs.
    return runs or [_run(reference, samples, rows, least, seed) for seed in (17, 18)]


def _run_smaller(reference: Reference, samples: SampleInputs, rows: int, dim: Dim) -> list[Returned]:
    """Run the largest size below the warmed ones that the network takes, if there is one near."""
    first = dim.sizes[0]
    for size in range(first - 1, max(0, first - 1 - _TRIED), -1):
        with suppress(Exception):
            return [_run(reference, samples, rows, samples.least | {dim.name: size})]
    return []


def _run(reference: Reference, samples: SampleInputs, rows: int, sizes: Mapping[str, int], seed: int = 17) -> Returned:
    drawn = samples.shaped((rows, tuple(sizes.values())), seed)
    try:
        return Returned(reference.returned(drawn), rows, sizes)
    except ModelError:
        raise
    except Exception as error:  # Models may raise anything, and the message is to name these rows' sizes.
        raise noted(fails(error, drawn, reference.model_inputs, reference.layout), samples.note) from error
