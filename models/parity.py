"""Compares two answers to the same rows, and says which output is off, by how much, and what to change."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from .errors import ModelError
from .signature import Tensor


@dataclass(frozen=True, slots=True)
class Tolerance:
    """`relative` to the largest magnitude of an output; `disagree` is the share of integers that may differ."""

    relative: float
    disagree: float


# bf16 keeps 8 bits of mantissa, fp16 and tf32 11, fp32 24; a deep network adds up a few hundred roundings.
TOLERANCES = {
    "fp32": Tolerance(1e-3, 0.0),
    "tf32": Tolerance(1e-2, 0.05),
    "bf16": Tolerance(6e-2, 0.10),
    "fp16": Tolerance(1e-2, 0.05),
}


def tolerance_for(precision: str, override: float | None) -> Tolerance:
    standard = TOLERANCES[precision]
    return standard if override is None else Tolerance(override, max(standard.disagree, override))


def deviation(found: torch.Tensor, expected: torch.Tensor) -> float:
    """Return the largest difference over the largest magnitude, or the share of integers that differ."""
    found, expected = found.detach(), expected.detach()
    if found.shape != expected.shape:
        return float("inf")
    if expected.numel() == 0:
        return 0.0
    if not expected.is_floating_point():
        return float((found.cpu() != expected.cpu()).double().mean())
    left, right = found.double().cpu(), expected.double().cpu()
    same_gaps = torch.equal(left.isfinite(), right.isfinite())
    if not same_gaps:
        return float("inf")
    finite = right.isfinite()
    if not bool(finite.any()):
        return 0.0
    scale = max(1e-6, float(right[finite].abs().max()))
    return float((left[finite] - right[finite]).abs().max()) / scale


def compare(
    found: Sequence[torch.Tensor],
    expected: Sequence[torch.Tensor],
    outputs: Sequence[Tensor],
    tolerance: Tolerance,
    what: str,
    advice: str,
) -> float:
    """Return the largest deviation over all outputs, or raise a ModelError that names the worst one."""
    worst = 0.0
    for left, right, tensor in zip(found, expected, outputs, strict=True):
        off = deviation(left, right)
        allowed = tolerance.relative if right.is_floating_point() else tolerance.disagree
        if off > allowed:
            kind = "of its largest value" if right.is_floating_point() else "of its integers"
            raise ModelError(
                f"output {tensor.name!r}: {what} differs by {off:.2g} {kind}, {allowed:g} is allowed\nhelp: {advice}"
            )
        worst = max(worst, off)
    return worst
