"""The ways through the data path as a table: each with what it adds to the way above it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Any

from pitstop.measure.results import told
from pitstop.report.markdown import table

from .results import Closed
from .summary import middle, spread


@dataclass
class Way:
    """A way, from the least to the most that a request passes through; `not_measured` says why it has no figures.

    `adds` says that it passes through all of the way above it, and through more.
    """

    name: str
    adds: bool = True
    closed: list[Closed] = field(default_factory=list)
    not_measured: str = ""


def render(record: Mapping[str, Any], ways: Sequence[Way], forward_ms: Sequence[float]) -> str:
    """Return the Markdown; `record` is what the JSON holds beside the ways."""
    good = [each for each in ways if each.closed]
    names = (
        [f"c={loop.connections} {figure}" for loop in good[0].closed for figure in ("p50 / p99 ms", "rps")]
        if good
        else []
    )
    heads = ["way", *names, "over the way above, p50 ms", "µs an answer"]
    alone = f"takes {1000 * median(forward_ms):.0f} µs for one row" if forward_ms else "is not measured"
    lines = [
        "# What each step of the data path costs",
        "",
        told(record),
        "",
        f"    {record['command']}",
        "",
        f"The network is `mlp`, 64 numbers as JSON; its forward in process {alone}. "
        f"The client is on the same machine. Closed loop, medians of {record['rounds']} rounds; ± is half the range. "
        "The last column is at the most connections.",
        "",
        *table(heads, [_cells(way, above) for way, above in zip(good, [None, *good], strict=False)]),
    ]
    lines += ["", *(f"- {way.name}: not measured: {way.not_measured}" for way in ways if not way.closed)]
    return "\n".join(lines).rstrip() + "\n"


def _cells(way: Way, above: Way | None) -> list[str]:
    cells = [way.name]
    for loop in way.closed:
        rates = [each.rate_rps for each in loop.rounds]
        cells.append(f"{middle(loop.rounds, 'p50_ms'):.2f} / {middle(loop.rounds, 'p99_ms'):.2f}")
        cells.append(f"{median(rates):,.0f} ± {100 * spread(rates):.0f} %")
    single = middle(way.closed[0].rounds, "p50_ms")
    more = "" if above is None or not way.adds else f"{single - middle(above.closed[0].rounds, 'p50_ms'):+.2f}"
    rate = middle(way.closed[-1].rounds, "rate_rps")
    return [*cells, more, f"{1e6 / rate:.0f}" if rate else ""]
