"""What the five mistakes cost on this machine: the waterfall of `pitstop audit` for resnet50 and digits, several times.

    python -m benchmarks.five_mistakes

Each step runs in every run; the middle run is kept, and the slowest and fastest say how far it can be trusted.
Writes benchmarks/results/five-mistakes_<hardware>_<yyyymm>.{json,md,png}. Run it on a machine that does nothing else.
"""

import argparse
import json
import shlex
import sys
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.console import Console

from configs.document import read
from configs.loader import load
from pitstop.auditing.examine import Examined, examine
from pitstop.auditing.hardware import Hardware, commit, hardware, versions
from pitstop.auditing.picture import poster
from pitstop.auditing.record import model_json
from pitstop.auditing.sight import BUDGET_S, QUICK_BUDGET_S, Pace
from pitstop.auditing.step import Step, grouped, ran
from pitstop.auditing.words import TIMES, busy, number, off

from .repeated_audit import repeated

RESULTS = Path(__file__).resolve().parent / "results"
MODELS = (("configs/resnet50.yaml", "resnet50"), ("serve_config.yaml", "digits"))


def main() -> None:
    """Measure, write the three files, and name them."""
    wish = _arguments()
    machine = hardware()
    audits = [(path, each) for path, name in MODELS for each in _measured(path, name, wish)]
    record = _record(audits, machine, wish.runs)
    now = datetime.now(UTC)
    stem = wish.out / f"five-mistakes_{machine.slug}_{now:%Y%m}"
    wish.out.mkdir(parents=True, exist_ok=True)
    stem.with_suffix(".json").write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
    text = _markdown([each for _, each in audits], machine, record, stem.name)
    stem.with_suffix(".md").write_text(text, encoding="utf-8")
    stem.with_suffix(".png").write_bytes(poster([each for _, each in audits], machine))
    print("\n".join(f"{stem.name}{suffix}" for suffix in (".json", ".md", ".png")))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Measure what the five mistakes cost on this machine.")
    parser.add_argument("--runs", type=int, default=3, help="how often the whole waterfall is measured")
    parser.add_argument("--quick", action="store_true", help="a fifth of the time, without torch.compile: a trial only")
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder of the three files")
    wish = parser.parse_args()
    if wish.runs < 1:
        parser.error("--runs must be at least 1")
    return wish


def _measured(path: str, name: str, wish: argparse.Namespace) -> Iterator[Examined]:
    with Console(stderr=True).status("starting") as line:
        budget_s = QUICK_BUDGET_S if wish.quick else BUDGET_S
        pace = Pace(budget_s, wish.quick, lambda step: line.update(f"measuring {step.label}"))
        for examined in examine(load(path), name, pace, repeated(wish.runs)):
            if examined.cut:
                sys.exit("stopped: nothing was written, since a result must be whole")
            if examined.unmeasured:
                sys.exit(f"{path}: {examined.unmeasured}")
            yield examined


def _record(audits: Sequence[tuple[str, Examined]], machine: Hardware, runs: int) -> dict[str, Any]:
    return {
        "command": shlex.join(["python", "-m", "benchmarks.five_mistakes", *sys.argv[1:]]),
        "when": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": commit(),
        "hardware": machine.as_json(),
        "versions": versions(),
        "runs": runs,
        "models": [{"config": path, **model_json(each, read(path))} for path, each in audits],
    }


def _markdown(audits: Sequence[Examined], machine: Hardware, record: dict[str, Any], stem: str) -> str:
    found = ", ".join(f"{name} {version}" for name, version in record["versions"].items())
    parts = [
        "# What the five mistakes cost\n",
        f"![items a second, step by step]({stem}.png)\n",
        f"{machine.title()} ({machine.memory_gib:g} GiB, {machine.system}); {found}; commit {record['commit']}; "
        f"{record['when']}.\n",
        f"Command: `{record['command']}`. Runs: {record['runs']}; shown is the middle one of each step, in brackets "
        "the slowest and the fastest.\n",
    ]
    for examined in audits:
        parts += [f"## {examined.case.app.config.name}\n", _mistakes(examined), _steps(examined.case.steps)]
        parts += [f"{spoilt}.\n"] if (spoilt := busy(examined.case.steps)) else []
    parts.append(
        "Off: the largest deviation from eager fp32, relative to the largest value of an output. MiB: the weights and "
        "the peak of one forward. p99 of a slow step rests on few runs; the JSON has their number.\n"
    )
    return "\n".join(parts)


def _mistakes(examined: Examined) -> str:
    rows = [
        f"| {each.number} {each.title} | {'' if each.factor is None else f'{each.factor:.1f}{TIMES}'} | {each.cost} |"
        for each in examined.verdicts
    ]
    return "\n".join(["| mistake | costs | measured |", "|---|---|---|", *rows]) + "\n"


def _steps(steps: Sequence[Step]) -> str:
    first = next((step.items_s or 1 for step, _ in ran(steps)), 1)
    rows = []
    for group in grouped(steps):
        rows.append(f"| *{group.title}* | | | | | | |")
        rows += [_row(step, first) for step in group.steps]
    head = f"| step | p50 ms | p99 ms | items/s | {TIMES} | MiB | off |"
    return "\n".join([head, "|---|---:|---:|---:|---:|---:|---:|", *rows]) + "\n"


def _row(step: Step, first: float) -> str:
    timing, items = step.timing, step.items_s
    if timing is None or items is None:
        return f"| {step.head.label} | | | left out: {step.skipped} | | | |"
    spread = f" ({' to '.join(number(each) for each in step.spread)})" if step.spread else ""
    memory = "" if step.peak_mib is None else number(step.peak_mib)
    return (
        f"| {step.head.label} | {number(timing.p50_ms)} | {number(timing.p99_ms)} | {number(items)}{spread} "
        f"| {items / first:.1f} | {memory} | {off(step.deviation)} |"
    )


if __name__ == "__main__":
    main()
