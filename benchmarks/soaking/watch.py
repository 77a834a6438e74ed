"""Memory and latency over time, looked at every few seconds, and how far they have drifted from start to end."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from pitstop import processes
from pitstop.measure.percentiles import percentile

from ..reliability.load import Load
from ..reliability.server_under_test import ServerUnderTest
from .streams import MODELS


@dataclass(frozen=True, slots=True)
class Look:
    """What was seen at one moment; latencies are those of the answers since the look before, in ms."""

    at_s: float
    all_mib: float
    replicas_mib: float
    p50_ms: float
    p99_ms: float
    answers: int
    parts_mib: Mapping[str, float] = field(default_factory=dict)

    @property
    def rest_mib(self) -> float:
        """What lives as long as the server: replicas come and go."""
        return self.all_mib - self.replicas_mib


class Watch:
    """Follows one stream's latency, which is the same kind of request throughout."""

    def __init__(self, tested: ServerUnderTest, load: Load) -> None:
        self._stand = tested
        self._load = load
        self._seen = 0

    def look(self) -> Look:
        latency = list(self._load.record.latency_s[self._seen :])
        self._seen += len(latency)
        pids = [replica.pid for name in MODELS for replica in self._stand.replicas(name)]
        parts = processes.memory_by_name_mib(self._stand.all_pids())
        return Look(
            self._load.drive.elapsed_s,
            sum(parts.values()),
            processes.memory_mib(pids),
            1000 * percentile(latency, 0.5),
            1000 * percentile(latency, 0.99),
            len(latency),
            parts,
        )


def drift(looks: Sequence[Look]) -> Mapping[str, Any]:
    """Return medians of the first and of the last fifth, and how fast memory grew between them, in MiB an hour.

    The very start is left out: caches fill, and Ray starts its spare workers.
    """
    calm = looks[max(1, len(looks) // 20) :]
    part = max(1, len(calm) // 5)
    if len(calm) < 2 * part:
        return {}
    first, last = calm[:part], calm[-part:]
    hours = (_middle(last, "at_s") - _middle(first, "at_s")) / 3600
    found: dict[str, Any] = {}
    for name in ("all_mib", "rest_mib", "p50_ms", "p99_ms"):
        found[f"{name}_first"], found[f"{name}_last"] = _middle(first, name), _middle(last, name)
    found["rest_mib_an_hour"] = (found["rest_mib_last"] - found["rest_mib_first"]) / hours if hours else 0.0
    found["parts_mib_an_hour"] = {
        name: (_part(last, name) - _part(first, name)) / hours if hours else 0.0
        for name in sorted({name for look in (*first, *last) for name in look.parts_mib})
    }
    return found


def _part(looks: Sequence[Look], name: str) -> float:
    return float(np.median([look.parts_mib.get(name, 0.0) for look in looks]))


def _middle(looks: Sequence[Look], name: str) -> float:
    return float(np.nanmedian([getattr(look, name) for look in looks]))
