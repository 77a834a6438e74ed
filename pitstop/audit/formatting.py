"""Formats what an audit measured, the same in the terminal, in the report and in Markdown."""

from collections.abc import Iterable

from ..report.numbers import TIMES, deviation, number, plural
from .step import Step, ran

# The cells of a step.
HEADS = ("p50 ms", "p99 ms", "items/s", TIMES, "MiB", "off")


def cells(step: Step, first: float) -> list[str]:
    """Return the cells of HEADS for a step, or nothing if it was left out. `first` is the result of `first_items_s`."""
    timing, items = step.timing, step.items_s
    if timing is None or items is None:
        return []
    memory = "" if step.peak_mib is None else number(step.peak_mib)
    speed = [number(timing.p50_ms), number(timing.p99_ms), number(items), f"{items / first:.1f}"]
    return [*speed, memory, deviation(step.deviation)]


def first_items_s(steps: Iterable[Step]) -> float:
    """Return the items a second of the first step, to which all factors refer."""
    return next((step.items_s or 1 for step, _ in ran(steps)), 1)


def factor(value: float | None) -> str:
    """Write how many times slower a mistake makes the model; nothing if that was not measured."""
    return "" if value is None else f"{value:.1f}{TIMES}"


def times(slow: Step, fast: Step) -> float:
    return (fast.items_s or 0) / (slow.items_s or 1)


def gain(slow: Step | None, fast: Step | None, words: tuple[str, str] = ("now", "then")) -> str:
    """Write `9.81 items/s now (1 row), 22.2 then (8 rows): 2.3 times`; nothing if one was not measured."""
    if slow is None or fast is None or not slow.items_s or not fast.items_s:
        return ""
    first, second = (
        f"{number(step.items_s or 0)} items/s {word} ({plural(step.spec.rows, 'row')})"
        for step, word in ((slow, words[0]), (fast, words[1]))
    )
    return f"{first}, {second}: {times(slow, fast):.1f} times"


def busy(steps: Iterable[Step]) -> str:
    """Write which timings other processes disturbed; nothing if none were."""
    spoilt = [step.timing for step in steps if step.timing and step.timing.disturbed]
    if not spoilt:
        return ""
    least = min(timing.share for timing in spoilt)
    return (
        f"busy machine: {plural(len(spoilt), 'step')} had as little as {least:.0%} of a core, too little to judge by; "
        "repeat when it is idle"
    )


def ms(step: Step | None) -> str:
    return f"{number(step.timing.p50_ms)} ms" if step and step.timing else ""
