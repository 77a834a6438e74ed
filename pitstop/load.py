"""`pitstop load`: puts load on one model and says how long its answers take, and whether the client can be believed."""

import sys
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.status import Status

from .loading.bodies import Format, requests, wire
from .loading.drive import Drive
from .loading.loadgen import Rules, Scenario, Verdict, leave, load_module, play
from .loading.plan import Plan
from .loading.report import show, show_verdict
from .loading.run import run, sender_for, try_one
from .loading.summary import Summary, summarise
from .loading.target import Target, find
from .loading.trouble import LoadError
from .measure import results

_MARGIN = 2.0
DONE, INVALID, UNUSABLE, STOPPED = 0, 1, 2, 130


@dataclass(frozen=True, slots=True)
class Wish:
    """What the user asked for."""

    url: str
    plan: Plan = field(default_factory=Plan)
    kind: Format = "binary"
    path: Path | None = None
    rows: int = 1
    length: int = 32
    grpc_port: int = 8001
    written: Path | None = None
    scenario: Scenario | None = None
    slo_ms: float = 50.0
    logs: Path = Path("loadgen")


def load(wish: Wish, console: Console | None = None) -> int:
    """Run the load, show what was found, and return the exit status."""
    console = console or Console(highlight=False)
    try:
        _check(wish)
        if wish.scenario is not None:
            return _play(wish, wish.scenario, console)
        target, summary = measure(wish)
        show(summary, f"{target.model} at {target.url}", console)
        if wish.written is not None:
            write(wish.written, _record(wish, target, summary))
    except LoadError as error:
        Console(stderr=True, highlight=False).print(str(error), style="red", markup=False, soft_wrap=True)
        return UNUSABLE
    return STOPPED if summary.stopped else DONE


def measure(wish: Wish) -> tuple[Target, Summary]:
    """Find the model, see that it answers, and run the plan."""
    target = find(wish.url)
    found = requests(target, wish.path, wish.rows, wish.length)
    try_one(target, found[0], wish.kind, wish.plan.timeout_s)
    with Console(stderr=True).status("starting") as line:
        record = run(target, found, wish.kind, wish.grpc_port, wish.plan, lambda drive: _progress(drive, wish, line))
    return target, summarise(wish.plan, record)


def write(path: Path, record: dict[str, Any]) -> None:
    try:
        path.write_text(results.text(record), encoding="utf-8")
    except OSError as error:
        raise LoadError(f"{path}: cannot be written ({error.strerror})", "name another file") from error


def _play(wish: Wish, scenario: Scenario, console: Console) -> int:
    """Let MLPerf's LoadGen send."""
    load_module()
    target = find(wish.url)
    found = requests(target, wish.path, wish.rows, wish.length)
    try_one(target, found[0], wish.kind, wish.plan.timeout_s)
    expected = _expected(wish, scenario, target)
    # LoadGen knows of no failed query: Offline hands over everything at once, and the last in line must not time out.
    patient = replace(wish.plan, rate_rps=None, timeout_s=max(wish.plan.timeout_s, 20 * wish.plan.seconds))
    messages = [wire(target, request, wish.kind) for request in found]
    sender = sender_for(target, messages, wish.kind, wish.grpc_port, patient)
    rules = Rules(scenario, wish.plan.seconds, expected, wish.slo_ms, len(found), wish.logs)
    with Console(stderr=True).status(f"LoadGen runs {scenario} for {wish.plan.seconds:g} s or more"):
        verdict: Verdict = play(rules, sender, patient.connections)
    show_verdict(verdict, f"{target.model} at {target.url}: MLPerf {scenario}", console)
    if wish.written is not None:
        found_ = {"scenario": scenario, "expected_rps": expected, **asdict(verdict), "summary": str(verdict.summary)}
        write(
            wish.written,
            {
                **results.head(["pitstop", *sys.argv[1:]]),
                "target": {"url": target.url, "model": target.model},
                **found_,
            },
        )
    if verdict.stopped:
        leave(STOPPED)
    return DONE if verdict.valid else INVALID


def _expected(wish: Wish, scenario: Scenario, target: Target) -> float:
    """Return the rate that Server is to send at; for the others, one measured shortly: LoadGen sizes its run by it."""
    if scenario == "server":
        if wish.plan.rate_rps is None:
            raise LoadError("the server scenario needs a rate", "add --rate")
        return wish.plan.rate_rps
    alone = scenario == "single-stream"
    plan = replace(wish.plan, rate_rps=None, warmup_s=0.2, seconds=1.0, connections=1 if alone else 8)
    found = requests(target, wish.path, wish.rows, wish.length)
    record = run(target, found, wish.kind, wish.grpc_port, plan, lambda _: None)
    # LoadGen draws its queries ahead and ends early where they run out: rather too many.
    return max(summarise(plan, record).answered_rps, 1.0) * _MARGIN


def _check(wish: Wish) -> None:
    plan = wish.plan
    positive = {"--rate": plan.rate_rps or 1, "--seconds": plan.seconds, "--timeout": plan.timeout_s}
    positive |= {"--connections": plan.connections, "--rows": wish.rows, "--length": wish.length, "--most": plan.most}
    for name, value in positive.items():
        if value <= 0:
            raise LoadError(f"{name} is {value:g}", "it must be above 0")
    if plan.warmup_s < 0 or plan.retries < 0:
        raise LoadError("--warmup and --retries cannot be negative", "0 switches them off")
    if wish.written is not None and not wish.written.resolve().parent.is_dir():
        raise LoadError(f"{wish.written}: there is no such folder", "make it first, or name another file")


def _progress(drive: Drive, wish: Wish, line: Status) -> None:
    record, plan = drive.record, wish.plan
    recent = sorted(record.latency_s[-1000:])
    p99 = f", p99 of the last {len(recent)}: {recent[int(len(recent) * 0.99) - 1] * 1e3:.3g} ms" if recent else ""
    errors = f", [red]{len(record.failures)} errors[/]" if record.failures else ""
    phase = "warm-up" if drive.elapsed_s < plan.warmup_s else "measuring"
    line.update(f"{phase} {drive.elapsed_s:.0f}/{plan.end_s:.0f} s: {len(record.latency_s):,} answers{p99}{errors}")


def _record(wish: Wish, target: Target, summary: Summary) -> dict[str, Any]:
    return {
        **results.head(["pitstop", *sys.argv[1:]]),
        "target": {"url": target.url, "model": target.model, "properties": target.properties},
        "format": wish.kind,
        "rows": wish.rows,
        "input": str(wish.path) if wish.path else "drawn from the metadata",
        **summary.as_json(),
    }
