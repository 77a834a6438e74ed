"""Compares two answers to the same rows, and says which output deviates, by how much, and what to change.

NaN and infinity never equal a number. An output without one finite value is not compared.
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
# int8 has 127 steps for the largest weight of a row; dynamic, for the largest entry of an activation too.
# fp64's is below fp32's rounding (6e-8), so that a model that computes in fp32 is found.
TOLERANCES = {
    "fp64": Tolerance(1e-9, 0.0),
    "fp32": Tolerance(1e-3, 0.0),
    "tf32": Tolerance(1e-2, 0.05),
    "bf16": Tolerance(6e-2, 0.10),
    "fp16": Tolerance(1e-2, 0.05),
    "int8_dynamic": Tolerance(0.25, 0.10),
    "int8_weights": Tolerance(0.1, 0.10),
}
# How far the same arithmetic may differ in a batch of another size. int8 weights are the same numbers there. A rounding
# of fp32 before an activation becomes int8 may change its step, and with it all that follows: disturbed by 1e-7,
# MiniLM's answers change by as much as int8 is off fp32, a tenth.
ROUNDINGS = TOLERANCES | {"int8_weights": TOLERANCES["fp32"]}


# A smaller output is compared with this magnitude: there a difference is only rounding.
_LEAST_FP32_SCALE = 1e-6
_LEAST_SCALE = {torch.float64: 1e-15}


class DeviationError(ModelError):
    """An output deviates by more than its tolerance."""

    def __init__(self, text: str, deviation: float) -> None:
        super().__init__(text)
        self.deviation = deviation


def tolerance_for(precision: str, override: float | None) -> Tolerance:
    standard = TOLERANCES[precision]
    return standard if override is None else Tolerance(override, max(standard.disagree, override))


def deviation(actual: torch.Tensor, expected: torch.Tensor) -> float | None:
    """Return the largest difference over the largest magnitude, or the share of integers that differ.

    Infinity if the shapes, or the places of NaN and infinities, differ. None if there is nothing to compare: an output
    without one finite value, or of no integers.
    """
    actual, expected = actual.detach().cpu(), expected.detach().cpu()
    if actual.shape != expected.shape:
        return float("inf")
    if expected.is_floating_point():
        return _of_floats(actual.double(), expected.double(), _LEAST_SCALE.get(expected.dtype, _LEAST_FP32_SCALE))
    return float((actual != expected).double().mean()) if expected.numel() else None


def _of_floats(actual: torch.Tensor, expected: torch.Tensor, least_scale: float) -> float | None:
    finite = expected.isfinite()
    same_gaps = torch.equal(actual.isfinite(), finite) and torch.allclose(
        actual[~finite], expected[~finite], equal_nan=True
    )
    if not same_gaps:
        return float("inf")
    if not bool(finite.any()):
        return None
    # Halved first: the difference of two large numbers of fp64 may be infinite.
    actual, expected = actual[finite] / 2, expected[finite] / 2
    return float((actual - expected).abs().max()) / max(least_scale / 2, float(expected.abs().max()))


def compare(
    actual: Sequence[torch.Tensor],
    expected: Sequence[torch.Tensor],
    outputs: Sequence[Tensor],
    tolerance: Tolerance,
    what: str,
    advice: str,
) -> dict[str, float]:
    """Return the deviation of every output that could be compared.

    Raises:
        DeviationError: an output deviates by more than its tolerance.
    """
    compared = {}
    for left, right, tensor in zip(actual, expected, outputs, strict=True):
        by = deviation(left, right)
        if by is None:
            continue
        # An output is no finer than its own datatype, whatever the arithmetic before it.
        allowed = max(tolerance.relative, _rounding(left)) if right.is_floating_point() else tolerance.disagree
        if by > allowed:
            kind = "of its largest value" if right.is_floating_point() else "of its integers"
            raise DeviationError(
                f"output {tensor.name!r}: {what} differs by {by:.2g} {kind}, {allowed:g} is allowed\nhelp: {advice}", by
            )
        compared[tensor.name] = by
    return compared


def refuse_uncompared(compared: Container[str], outputs: Sequence[Tensor]) -> None:
    """Raise a ModelError for an output that was never compared, since eager gives no finite number there."""
    for tensor in outputs:
        if tensor.name not in compared:
            number, advice = "no finite number", "look for NaN in the weights"
            if tensor.named:
                number = "no entry with a finite number"
                advice = f"name rows in which the network finds something as example; if those were, {advice}"
            raise ModelError(
                f"output {tensor.name!r}: eager gives {number} for any of the rows that were drawn\nhelp: {advice}"
            )


def _rounding(value: torch.Tensor) -> float:
    return 2 * torch.finfo(value.dtype).eps if value.is_floating_point() else 0.0
