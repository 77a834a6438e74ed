"""What a run found, and its two files: JSON with every round, and a Markdown table of the medians beside it."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from statistics import median
from typing import Any

import msgspec

from pitstop.measure import results as files

from .summary import Round


@dataclass
class Closed:
    connections: int
    rounds: list[Round] = field(default_factory=list)


@dataclass
class Open:
    """Poisson arrivals at a share of the server's own capacity: its rate in closed loop at the most connections.

    `offered_rps` has that of each round, by the capacity that the same start of the server had shown before.
    """

    load: float
    offered_rps: list[float] = field(default_factory=list)
    rounds: list[Round] = field(default_factory=list)


@dataclass
class Measured:
    """One server under one workload.

    `not_measured` says why there are no figures, `missed` why there are none of some of its starts.
    """

    server: str
    workload: str
    settings: str
    max_batch_size: int
    wait_ms: float | None
    versions: dict[str, str] = field(default_factory=dict)
    started_s: float = 0.0
    memory_mib: float = 0.0
    watched_mib: dict[int, float] = field(default_factory=dict)
    closed: list[Closed] = field(default_factory=list)
    open: list[Open] = field(default_factory=list)
    not_measured: str = ""
    missed: list[str] = field(default_factory=list)


@dataclass
class Limit:
    """The model without a server: for each round, milliseconds by batch size in rows."""

    workload: str
    rounds: list[dict[int, float]] = field(default_factory=list)
    not_measured: str = ""


@dataclass
class Again:
    """When a workload was measured once more, all its servers in one run, and by which command."""

    date: str
    commit: str
    command: str
    load_average: list[float]


@dataclass
class Results:
    """A whole run; `again` has the workloads that took the place of the run's own, by name."""

    theme: str
    hardware: Mapping[str, Any]
    versions: Mapping[str, str]
    commit: str
    command: str
    date: str
    threads: str
    limits: list[Limit] = field(default_factory=list)
    servers: list[Measured] = field(default_factory=list)
    load_average: list[float] = field(default_factory=list)
    again: dict[str, Again] = field(default_factory=dict)

    def replace(self, later: "Results") -> None:
        """Put what a later run on the same machine measured in the place of what is here, workload by workload.

        Raises:
            ValueError: it ran on another machine, otherwise, or without a server that is here.
        """
        self.refuse_others(later)
        for limit in later.limits:
            name = limit.workload
            here, there = ({each.server for each in results.of(name)} for results in (self, later))
            if here != there:
                raise ValueError(f"{name}: the servers are not those of the run that is there")
            self.limits = [limit if each.workload == name else each for each in self.limits]
            at = next(index for index, each in enumerate(self.servers) if each.workload == name)
            others = [each for each in self.servers if each.workload != name]
            self.servers = [*others[:at], *later.of(name), *others[at:]]
            self.again[name] = Again(later.date, later.commit, later.command, later.load_average)

    def refuse_others(self, later: "Results") -> None:
        """Raise ValueError where a run was made on another machine, with other versions, or in another way."""
        for what in ("theme", "hardware", "versions", "threads"):
            if getattr(self, what) != getattr(later, what):
                raise ValueError(f"{what} are not those of the run that is there")

    def of(self, workload: str) -> Sequence[Measured]:
        return [each for each in self.servers if each.workload == workload]

    def limit(self, workload: str) -> Limit:
        return next((each for each in self.limits if each.workload == workload), Limit(workload))


def merged(starts: Sequence[Measured]) -> Measured:
    """Return all that several starts of one server did: every round, and medians of what a start has one of."""
    good = [each for each in starts if not each.not_measured]
    if not good:
        return starts[0]
    return replace(
        good[0],
        started_s=median(each.started_s for each in good),
        memory_mib=median(each.memory_mib for each in good),
        closed=[
            Closed(loops[0].connections, [each for loop in loops for each in loop.rounds])
            for loops in zip(*(each.closed for each in good), strict=True)
        ],
        open=[
            Open(
                loops[0].load,
                [each for loop in loops for each in loop.offered_rps],
                [each for loop in loops for each in loop.rounds],
            )
            for loops in zip(*(each.open for each in good), strict=True)
        ],
        missed=[each.not_measured for each in starts if each.not_measured],
    )


def read(path: Path) -> Results:
    """Return what `write` wrote."""
    found: Results = msgspec.convert(json.loads(path.read_text()), Results, strict=False)
    return found


def write(results: Results, folder: Path, table: str) -> Path:
    """Write both files; return the JSON's path."""
    record = asdict(results)
    return files.write(folder, files.stem(results.theme, record), rounded(record), table)


def rounded(content: Any, digits: int = 5) -> Any:
    """Return the same with floats of so many significant digits: more are noise."""
    if isinstance(content, float):
        return float(f"{content:.{digits}g}")
    if isinstance(content, dict):
        return {str(key): rounded(value, digits) for key, value in content.items()}
    if isinstance(content, list | tuple):
        return [rounded(each, digits) for each in content]
    return content
