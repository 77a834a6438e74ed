"""Tells a soak in Markdown."""

from collections.abc import Mapping
from typing import Any

from pitstop.measure.results import told
from pitstop.report.markdown import table
from pitstop.report.numbers import plural

# In less, what a server still allocates after its start would be taken for a leak.
_TELLING_MINUTES = 30
_DRIFTS = {
    "p50_ms": "p50 of a small request, ms",
    "p99_ms": "its p99, ms",
    "all_mib": "memory of all processes, MiB",
    "rest_mib": "without the replicas, MiB",
}
# Less does not matter to a server that runs for weeks.
_TELLING_MIB_AN_HOUR = 1.0


def verdict(record: Mapping[str, Any]) -> str:
    """Say in a line what came of it."""
    sent, failed, wrong, retried = (
        sum(each[key] for each in record["streams"]) for key in ("sent", "failed", "wrong", "retried")
    )
    wrong += sum(event.get("wrong", 0) for event in record["events"])
    return (
        f"{sent:,} requests in {record['minutes']:.1f} minutes: {failed:,} failed, {wrong:,} wrong,"
        f" {retried:,} sent again; {plural(len(record['events']), 'fault')} injected"
    )


def markdown(record: Mapping[str, Any], picture: str) -> str:
    drift = record["drift"]
    streams = [
        [each["stream"], *(f"{each[name]:,}" for name in ("sent", "failed", "wrong", "retried"))]
        for each in record["streams"]
    ]
    faults = [_fault(kind, record) for kind in dict.fromkeys(event["kind"] for event in record["events"])]
    lines = [
        "# A soak: mixed load and random faults\n",
        f"{verdict(record)}{'; stopped early' * record['stopped']}.\n",
        f"{told(record)} Seed {record['seed']}; `{record['command']}`.\n",
        f"![Latency and memory over the time]({picture})\n",
        *table(["stream", "sent", "failed", "wrong", "sent again"], streams),
        "",
        *table(["fault", "times", "recovery, median", "longest", "not recovered"], faults),
    ]
    if drift:
        drifts = [
            [text, *(f"{drift[f'{name}_{end}']:.1f}" for end in ("first", "last"))] for name, text in _DRIFTS.items()
        ]
        lines += ["", *table(["", "first fifth", "last fifth"], drifts)]
    if drift and record["minutes"] >= _TELLING_MINUTES:
        lines.append(f"\nWithout replicas memory grew by {drift['rest_mib_an_hour']:.0f} MiB an hour.")
        lines += _parts(drift["parts_mib_an_hour"])
    return "\n".join(lines) + "\n"


def _parts(grew: Mapping[str, float]) -> list[str]:
    told = sorted(((mib, name) for name, mib in grew.items() if abs(mib) >= _TELLING_MIB_AN_HOUR), reverse=True)
    if not told:
        return []
    return ["", *table(["processes", "grew, MiB an hour"], [[name, f"{mib:.1f}"] for mib, name in told])]


def _fault(kind: str, record: Mapping[str, Any]) -> list[str]:
    times = [event["recovered_s"] for event in record["events"] if event["kind"] == kind]
    seen = sorted(each for each in times if each is not None)
    middle, most = (f"{seen[len(seen) // 2]:.1f} s", f"{seen[-1]:.1f} s") if seen else ("", "")
    return [kind, str(len(times)), middle, most, str(len(times) - len(seen))]
