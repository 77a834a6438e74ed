"""The sentence that every report has on how its figures were measured."""

from collections.abc import Iterator, Mapping
from typing import Any


def conditions(record: Mapping[str, Any]) -> str:
    """Return the machine, the versions, the commit, the day and the load before a measurement, as `record` has them."""
    parts = [", ".join(_machine(record["hardware"]))]
    if versions := record.get("versions"):
        parts.append(", ".join(f"{name} {version}" for name, version in versions.items()))
    parts += [f"commit {record['commit']}", str(record["date"])[:10]]
    if load_average := record.get("load_average"):
        parts.append(f"load average before: {load_average[0]:.1f}")
    return f"{'; '.join(parts)}."


def _machine(hardware: Mapping[str, Any]) -> Iterator[str]:
    if gpu := hardware.get("gpu"):
        yield gpu
    yield hardware["cpu"]
    yield f"{hardware['cores']} cores"
    if "memory_gib" in hardware:
        yield f"{hardware['memory_gib']:g} GiB"
    if "system" in hardware:
        yield hardware["system"]
