"""Measures how near answers are to eager fp32's, batch by batch; `total` adds the batches up."""

from collections.abc import Callable, Sequence
from typing import Any

import torch

from ..errors import ModelError
from ..parity import deviation
from ..signature import Tensor, listed
from .acceptance_result import Figures


def measured(actual: torch.Tensor, expected: torch.Tensor, tensor: Tensor) -> Figures:
    """Return the figures of an output over one batch; tensors are [rows, ...]."""
    actual, expected = actual.detach().cpu(), expected.detach().cpu()
    rows = len(expected)
    if actual.shape != expected.shape:
        return Figures(tensor.name, rows, unlike=rows)
    if not expected.is_floating_point():
        equal = (actual == expected).reshape(rows, -1).all(1)
        return Figures(tensor.name, rows, 0, int(equal.sum()), rows, None, deviation(actual, expected))
    actual = actual.to(expected.dtype)
    gaps = ~((actual.isfinite() & expected.isfinite()) | (actual == expected) | (actual.isnan() & expected.isnan()))
    filled = torch.where(gaps, expected, actual)
    agreed = compared = cosine = None
    if _has_highest(tensor) and expected.numel():
        same = (_highest(actual) == _highest(expected)) & ~gaps.any(-1)
        agreed, compared = int(same.sum()), same.numel()
    if _is_vector(tensor) and expected.numel():
        cosine = _smallest_cosine(filled, expected)
    unlike = int(gaps.reshape(rows, -1).any(1).sum())
    return Figures(tensor.name, rows, unlike, agreed, compared, cosine, deviation(filled, expected))


def total(figures: Sequence[Figures]) -> Figures:
    """Return the figures of an output over all of these batches."""

    def over(name: str, of: Callable[[list[Any]], Any]) -> Any:
        values = [value for each in figures if (value := getattr(each, name)) is not None]
        return of(values) if values else None

    return Figures(
        figures[0].output,
        sum(each.rows for each in figures),
        sum(each.unlike for each in figures),
        over("agreed", sum),
        over("compared", sum),
        over("cosine", min),
        over("deviation", max),
    )


def check_measures(asked: Sequence[str], outputs: Sequence[Tensor]) -> None:
    """Raise ModelError for a measure of `accept` that fits none of the outputs."""
    for measure in asked:
        fits, what = _FITS[measure]
        if not any(fits(each) for each in outputs):
            raise ModelError(
                f"accept.{measure}: it is of {what}, and the network gives {listed(outputs)}\n"
                f"help: remove it, and ask for another measure: {', '.join(each for each in _FITS if each != measure)}"
            )


def _has_highest(tensor: Tensor) -> bool:
    """Whether its last axis has entries of which one is the highest. An axis of a picture is none of classes."""
    return tensor.numpy.kind == "f" and len(tensor.shape) in (2, 3) and tensor.shape[-1] != 1


def _is_vector(tensor: Tensor) -> bool:
    return tensor.numpy.kind == "f" and any(size != 1 for size in tensor.shape[1:])


_FITS: dict[str, tuple[Callable[[Tensor], bool], str]] = {
    "agreement": (
        lambda each: each.numpy.kind in "iub" or _has_highest(each),
        "whole numbers, or of floats [rows, entries] or [rows, places, entries] with more than one entry",
    ),
    "cosine": (_is_vector, "floats with more than one number a row"),
    "tolerance": (lambda each: each.numpy.kind in "fiub", "numbers"),
}


def _highest(values: torch.Tensor) -> torch.Tensor:
    return values.nan_to_num(nan=-torch.inf, posinf=torch.inf, neginf=-torch.inf).argmax(-1)


def _smallest_cosine(actual: torch.Tensor, expected: torch.Tensor) -> float:
    """Return the smallest cosine of two rows, each taken as one vector; entries that are not finite are left out."""
    one, other = (_scaled(torch.where(expected.isfinite(), each, 0)) for each in (actual, expected))
    cosines = (one * other).sum(1) / (one.norm(dim=1) * other.norm(dim=1))
    # Of zeros there is no direction: equal ones are alike, others are not.
    cosines = torch.where((one == other).all(1), 1.0, cosines.nan_to_num(nan=0.0))
    return float(cosines.clamp(-1, 1).min())


def _scaled(values: torch.Tensor) -> torch.Tensor:
    """Return rows as vectors whose largest entry is 1: squares of large numbers would be infinite."""
    flat = values.reshape(len(values), -1).double()
    largest = flat.abs().amax(1, keepdim=True)
    return flat / torch.where(largest > 0, largest, 1.0)
