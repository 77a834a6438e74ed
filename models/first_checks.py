"""What the eager model must show before anything is compiled: that it runs as declared, and answers the same twice."""

from dataclasses import dataclass

import torch
from torch import nn

from configs.schema import ModelConfig

from .declared import check_outputs, fails
from .draw import Draw
from .errors import ModelError
from .layout import Layout
from .precision import Arithmetic, choices
from .prepare import layout_of, refuse_cast
from .reference import Reference, eager_of
from .row_checks import probe_rows, same_twice
from .signature import Tensor


@dataclass(frozen=True, slots=True)
class Eager:
    """A model that runs eagerly, with the arithmetic and the layout that the prepared one is to have."""

    reference: Reference
    arithmetic: Arithmetic
    layout: Layout


def eager(
    module: nn.Module, config: ModelConfig, device: torch.device, draw: Draw, outputs: tuple[Tensor, ...]
) -> Eager:
    """Return the eager model in the first arithmetic that it runs in, once it has answered the same rows alike twice.

    Raises:
        ModelError: it runs in none, returns other than declared, or answers the same rows in two ways.
    """
    found = first_that_runs(module, config, device, draw, outputs)
    same_twice(found.reference, draw, found.layout.sizes[-1], outputs, found.reference.precision)
    return found


def first_that_runs(
    module: nn.Module, config: ModelConfig, device: torch.device, draw: Draw, outputs: tuple[Tensor, ...]
) -> Eager:
    """Return the eager model in the first arithmetic that it runs in."""
    failure: ModelError | None = None
    for arithmetic in choices(config, module):
        layout = layout_of(arithmetic.config, device, arithmetic.as_declared)
        refuse_cast(arithmetic.config, layout)
        found = Eager(eager_of(module, draw, outputs, layout), arithmetic, layout)
        if (error := _failure(found.reference, draw)) is None:
            return found
        failure = failure or error
    assert failure is not None
    raise failure


def _failure(reference: Reference, draw: Draw) -> ModelError | None:
    """Run a few rows, and return what is wrong with the answer, or why there is none."""
    rows, _ = probe_rows(draw, reference.layout.sizes[-1])
    try:
        check_outputs(reference(rows), reference.outputs)
    except ModelError as error:
        return error
    except Exception as error:  # Models may raise anything.
        said = fails(error, len(rows[draw.feed[0].name]), reference.feed, reference.layout)
        said.__cause__ = error
        return said
    return None
