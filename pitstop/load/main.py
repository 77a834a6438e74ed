"""`pitstop load`: puts load on one model and says how long its answers take, and whether the client can be believed."""

import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.status import Status

from ..measure import results
from ..measure.percentiles import percentile
from ..report.terminal import plain_console
from .bodies import Format, requests, source
from .errors import LoadError
from .load_runner import Drive
from .plan import Plan
from .report import show
from .run import run, try_one
from .summary import Summary, summarise
from .target import Target, find

DONE, UNUSABLE, STOPPED = 0, 2, 130
# As gRPC holds whole numbers.
_LEAST, _MOST = -(2**63), 2**63 - 1


@dataclass(frozen=True, slots=True)
class LoadOptions:
    """What the user asked for."""

    url: str
    plan: Plan = field(default_factory=Plan)
    kind: Format = "binary"
    path: Path | None = None
    rows: int = 1
    length: int | None = None
    grpc_port: int = 8001
    parameters: tuple[str, ...] = ()
    written: Path | None = None


def load(options: LoadOptions, console: Console | None = None) -> int:
    """Run the load, show what was found, and return the exit status."""
    console = console or plain_console()
    try:
        _check(options)
        target, summary = measure(options)
        if options.written != results.STDOUT:
            show(summary, f"{target.model} at {target.url}", console)
        if options.written is not None:
            write(options.written, _record(options, target, summary))
    except LoadError as error:
        plain_console(stderr=True).print(str(error), style="red", markup=False, soft_wrap=True)
        return UNUSABLE
    return STOPPED if summary.stopped else DONE


def measure(options: LoadOptions) -> tuple[Target, Summary]:
    """Find the model, see that it answers, and run the plan."""
    given = parameters(options.parameters)
    target = find(options.url)
    found = requests(target, options.path, options.rows, options.length)
    try_one(target, found[0], options.kind, options.plan.timeout_s, given)
    with plain_console(stderr=True).status("starting") as line:
        record = run(
            target,
            found,
            options.kind,
            options.grpc_port,
            options.plan,
            lambda drive: _progress(drive, options, line),
            given,
        )
    return target, summarise(options.plan, record)


def parameters(given: Sequence[str]) -> dict[str, bool | int | float | str]:
    """Read NAME=VALUE: a value is true, false, a number, or else a text."""
    found: dict[str, bool | int | float | str] = {}
    for each in given:
        name, equals, text = each.partition("=")
        if not equals or not name:
            raise LoadError(f"--parameter {each}: is not NAME=VALUE", "such as --parameter seed=7")
        try:
            value = json.loads(text)
        except ValueError:
            value = text
        # Written as a number that no protocol has, or as null or a list.
        is_plain = isinstance(value, bool | int | float) and _LEAST <= value <= _MOST
        found[name] = value if is_plain else text
    return found


def write(path: Path, record: dict[str, Any]) -> None:
    try:
        results.write_to(path, record)
    except OSError as error:
        raise LoadError(f"{path}: cannot be written ({error.strerror})", "name another file") from error


def _check(options: LoadOptions) -> None:
    plan = options.plan
    positive = {"--rate": plan.rate_rps or 1, "--seconds": plan.seconds, "--timeout": plan.timeout_s}
    positive |= {
        "--connections": plan.connections,
        "--rows": options.rows,
        "--length": 1 if options.length is None else options.length,
        "--most": plan.most,
    }
    for name, value in positive.items():
        if value <= 0:
            raise LoadError(f"{name} is {value:g}", "it must be above 0")
    if plan.warmup_s < 0 or plan.retries < 0:
        raise LoadError("--warmup and --retries cannot be negative", "0 switches them off")
    if options.written is not None and not options.written.resolve().parent.is_dir():
        raise LoadError(f"{options.written}: there is no such folder", "make it first, or name another file")


def _progress(drive: Drive, options: LoadOptions, line: Status) -> None:
    record, plan = drive.record, options.plan
    recent = record.latency_s[-1000:]
    p99 = f", p99 of the last {len(recent)}: {percentile(recent, 0.99) * 1e3:.3g} ms" if recent else ""
    errors = f", [red]{len(record.failures)} errors[/]" if record.failures else ""
    phase = "warm-up" if drive.elapsed_s < plan.warmup_s else "measuring"
    line.update(f"{phase} {drive.elapsed_s:.0f}/{plan.end_s:.0f} s: {len(record.latency_s):,} answers{p99}{errors}")


def _record(options: LoadOptions, target: Target, summary: Summary) -> dict[str, Any]:
    return {
        **results.head(["pitstop", *sys.argv[1:]]),
        "target": {"url": target.url, "model": target.model, "properties": target.properties},
        "format": options.kind,
        "rows": options.rows,
        "input": str(options.path or source(target, options.length)),
        "parameters": parameters(options.parameters),
        **summary.as_json(),
    }
