"""The rounds of grpc_ways, and the table of their medians."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

_PROCESSES = ("front", "haproxy", "replica", "client")


@dataclass(frozen=True, slots=True)
class Round:
    """One round of one way at one number of calls under way; CPU time in microseconds a call."""

    way: str
    calls: int
    rate_rps: float
    p50_ms: float
    p99_ms: float
    cpu_us: Mapping[str, float]


def render(record: Mapping[str, Any], rounds: Sequence[Round]) -> str:
    """Write the table; `record` is what the JSON holds beside the rounds."""
    hardware = record["hardware"]
    codec = ", ".join(f"{name} {ms:.2f}" for name, ms in record["codec"].items())
    kinds: dict[tuple[str, int], list[Round]] = {}
    for each in rounds:
        kinds.setdefault((each.way, each.calls), []).append(each)
    lines = [
        "# What each way of a gRPC call costs\n",
        f"{hardware['cpu']}, {hardware['cores']} cores; {record['date']}; commit {record['commit']}; load average"
        f" before: {record['load_average'][0]:.1f}. `mlp`, one row a call; medians of {len(rounds) // len(kinds)}"
        " rounds, the lowest and the highest rate in brackets. The last four: CPU time of each process, µs a call.\n",
        "| way | calls at once | calls/s | p50 ms | p99 ms | front | HAProxy | replica | client |",
        "|---|---|---|---|---|---|---|---|---|",
        *map(_row, kinds.values()),
        f"\nA tensor of 10 MB in a message, ms, best of ten: {codec}.",
    ]
    return "\n".join(lines) + "\n"


def _row(rounds: Sequence[Round]) -> str:
    rates = [each.rate_rps for each in rounds]
    p50_ms, p99_ms = median(each.p50_ms for each in rounds), median(each.p99_ms for each in rounds)
    cpu = " | ".join(f"{median(each.cpu_us[name] for each in rounds):.0f}" for name in _PROCESSES)
    rate = f"{median(rates):.0f} ({min(rates):.0f} to {max(rates):.0f})"
    return f"| {rounds[0].way} | {rounds[0].calls} | {rate} | {p50_ms:.2f} | {p99_ms:.2f} | {cpu} |"
