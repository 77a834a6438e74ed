"""A counter that is there before its first count. Ray's own `inc` takes no 0.

Without it `rate()` misses the first count of a series, and an alert on a kind of error that never came has no data.
"""

from typing import Any

from .names import Part, functions, usable

AT_ZERO = Part(
    "the first value of a counter",
    "counters are not in the metrics before their first count",
    functions("ray.util.metrics", {"Metric._record": "value tags"}),
)


def start_at_zero(counter: Any, **tags: str) -> None:
    """Have a counter of ray.serve.metrics exported as 0, with these tags."""
    if usable(AT_ZERO):
        counter._record(0, tags)
