"""What to do where the prepared forward answers otherwise than eager fp32 does: its precision and its backend differ.

What eager fp32 does too is the network's own, and has advice of its own, by the check that finds it.
"""

from configs.precisions import FP32


def of_prepared(precision: str, compiled: bool, network: str) -> str:
    """Return the advice for a forward in a precision; `network` is that for one that runs as eager fp32 does."""
    by_precision = [(precision, f"precision: {FP32}")] if rounds(precision) else []
    differs = by_precision + ([("what was compiled", "backend: eager")] if compiled else [])
    if not differs:
        return network
    causes, cures = zip(*differs, strict=True)
    return f"eager {FP32} answers as it should, so the cause is {' or '.join(causes)}: use {', or '.join(cures)}"


def rounds(precision: str) -> bool:
    """Whether a precision keeps fewer digits than the eager model that it is compared with."""
    return precision not in (FP32, "fp64")
