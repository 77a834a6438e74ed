"""Compares two answers to the same rows, and says which output is off, by how much, and what to change.

What is not finite is not equal to a number, and where nothing is finite, nothing was compared.
"""

from collections.abc import Container, Sequence
from dataclasses import dataclass

import torch

from .errors import ModelError
from .signature import Tensor


@dataclass(frozen=True, slots=True)
class Tolerance:
    """`relative` to the largest magnitude of an output; `disagree` is the share of integers that may differ."""

    relative: float
    disagree: float


# bf16 keeps 8 bits of mantissa, fp16 and tf32 11, fp32 24, fp64 53; a deep network adds up a few hundred roundings.
# For fp64 it is below what fp32 rounds away (6e-8), so that fp32 in disguise is found out.
TOLERANCES = {
    "fp64": Tolerance(1e-9, 0.0),
    "fp32": Tolerance(1e-3, 0.0),
    "tf32": Tolerance(1e-2, 0.05),
    "bf16": Tolerance(6e-2, 0.10),
    "fp16": Tolerance(1e-2, 0.05),
}


# Below this magnitude an output counts as zero, so that the rounding of a difference is not taken for its value.
_LEAST_FP32_SCALE = 1e-6
_LEAST_SCALE = {torch.float64: 1e-15}


class OffError(ModelError):
    """An output is further off than it may be, by `off`."""

    def __init__(self, text: str, off: float) -> None:
        super().__init__(text)
        self.off = off


def tolerance_for(precision: str, override: float | None) -> Tolerance:
    standard = TOLERANCES[precision]
    return standard if override is None else Tolerance(override, max(standard.disagree, override))


def deviation(found: torch.Tensor, expected: torch.Tensor) -> float | None:
    """Return the largest difference over the largest magnitude, or the share of integers that differ.

    None where there is nothing to compare: both have the same NaN and infinities, and not one number.
    """
    found, expected = found.detach().cpu(), expected.detach().cpu()
    if found.shape != expected.shape:
        return float("inf")
    if expected.is_floating_point():
        return _of_floats(found.double(), expected.double(), _LEAST_SCALE.get(expected.dtype, _LEAST_FP32_SCALE))
    return float((found != expected).double().mean()) if expected.numel() else None


def _of_floats(found: torch.Tensor, expected: torch.Tensor, least_scale: float) -> float | None:
    finite = expected.isfinite()
    same_gaps = torch.equal(found.isfinite(), finite) and torch.allclose(
        found[~finite], expected[~finite], equal_nan=True
    )
    if not same_gaps:
        return float("inf")
    if not bool(finite.any()):
        return None
    # Halved first: the largest numbers of fp64 may lie further apart than the largest number is large.
    found, expected = found[finite] / 2, expected[finite] / 2
    return float((found - expected).abs().max()) / max(least_scale / 2, float(expected.abs().max()))


def compare(
    found: Sequence[torch.Tensor],
    expected: Sequence[torch.Tensor],
    outputs: Sequence[Tensor],
    tolerance: Tolerance,
    what: str,
    advice: str,
) -> dict[str, float]:
    """Return the deviation of every output in which there was something to compare.

    Raises:
        ModelError: an output is further off than it may be.
    """
    compared = {}
    for left, right, tensor in zip(found, expected, outputs, strict=True):
        off = deviation(left, right)
        if off is None:
            continue
        # An output is no finer than its own datatype, whatever the arithmetic before it.
        allowed = max(tolerance.relative, _rounding(left)) if right.is_floating_point() else tolerance.disagree
        if off > allowed:
            kind = "of its largest value" if right.is_floating_point() else "of its integers"
            raise OffError(
                f"output {tensor.name!r}: {what} differs by {off:.2g} {kind}, {allowed:g} is allowed\nhelp: {advice}",
                off,
            )
        compared[tensor.name] = off
    return compared


def refuse_uncompared(compared: Container[str], outputs: Sequence[Tensor]) -> None:
    """Raise a ModelError for an output that was compared in nothing: eager itself gives no finite number there."""
    for tensor in outputs:
        if tensor.name not in compared:
            raise ModelError(
                f"output {tensor.name!r}: eager gives no finite number for any of the rows that were drawn\n"
                "help: look for NaN in the weights"
            )


def _rounding(value: torch.Tensor) -> float:
    return 2 * torch.finfo(value.dtype).eps if value.is_floating_point() else 0.0
