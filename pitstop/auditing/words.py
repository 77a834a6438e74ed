"""How figures are written: three digits are all that a measurement on a shared machine supports."""

from collections.abc import Iterable

from .step import Step

# The sign, not the letter; written so that no editor confuses the two.
TIMES = "\u00d7"
_DIGITS = 3


def number(value: float) -> str:
    """Write 0.0987, 9.87, 98.7, 987 and 98,700."""
    rounded = float(f"{value:.{_DIGITS}g}")
    if rounded == 0 or rounded >= 10 ** (_DIGITS - 1):
        return f"{rounded:,.0f}"
    return f"{rounded:#.{_DIGITS}g}" if rounded >= 1e-3 else f"{value:.0e}"


def off(value: float | None) -> str:
    """Write a deviation; nothing at all is 0."""
    return "" if value is None else "0" if value == 0 else f"{value:.0e}" if value < 1e-2 else f"{value:.2g}"


def times(slow: Step, fast: Step) -> float:
    return (fast.items_s or 0) / (slow.items_s or 1)


def gain(slow: Step | None, fast: Step | None, words: tuple[str, str] = ("now", "then")) -> str:
    """Say `9.81 items/s now (1 row), 22.2 then (8 rows): 2.3 times`; nothing where one was not measured."""
    if slow is None or fast is None or not slow.items_s or not fast.items_s:
        return ""
    first, second = (
        f"{number(step.items_s or 0)} items/s {word} ({rows(step.head.rows)})"
        for step, word in ((slow, words[0]), (fast, words[1]))
    )
    return f"{first}, {second}: {times(slow, fast):.1f} times"


def rows(count: int) -> str:
    return f"{count} row{'s' * (count != 1)}"


def busy(steps: Iterable[Step]) -> str:
    """Say which figures other processes spoilt; nothing where none did."""
    spoilt = [step.timing for step in steps if step.timing and step.timing.disturbed]
    if not spoilt:
        return ""
    least = min(timing.share for timing in spoilt)
    count = f"{len(spoilt)} step{'s' * (len(spoilt) > 1)}"
    return (
        f"busy machine: {count} had as little as {least:.0%} of a core, too little to judge by; repeat when it is idle"
    )


def ms(step: Step | None) -> str:
    return f"{number(step.timing.p50_ms)} ms" if step and step.timing else ""
