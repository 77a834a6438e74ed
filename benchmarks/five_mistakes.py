"""What the five mistakes cost on this machine: the waterfall of `pitstop audit` for resnet50 and digits, several times.

    python -m benchmarks.five_mistakes

Each step runs in every run; the middle run is kept, and the slowest and fastest say how far it can be trusted.
Writes benchmarks/results/five-mistakes_<hardware>_<yyyymm>.{json,md,png}. Run it on a machine that does nothing else.
"""

import argparse
import sys
from collections.abc import Iterator, Sequence
from typing import Any

from configs.document import read
from configs.loader import load
from pitstop.audit.audit_result import BUDGET_S, QUICK_BUDGET_S, Budget
from pitstop.audit.examine import Examined, examine
from pitstop.audit.formatting import HEADS, busy, cells, factor, first_items_s
from pitstop.audit.picture import poster
from pitstop.audit.record import model_json
from pitstop.audit.step import Step, grouped
from pitstop.measure.hardware import hardware
from pitstop.measure.results import head, stem, told, write
from pitstop.report.markdown import table
from pitstop.report.numbers import number
from pitstop.report.terminal import plain_console

from . import script
from .repeated_audit import repeated

MODELS = (("configs/resnet50.yaml", "resnet50"), ("serve_config.yaml", "digits"))


def main() -> None:
    """Measure, write the three files, and name them."""
    options = _arguments()
    machine, record = hardware(), head(["python", "-m", "benchmarks.five_mistakes", *sys.argv[1:]], gpu=True)
    audits = [(path, each) for path, name in MODELS for each in _measured(path, name, options)]
    models = [{"config": path, **model_json(each, read(path))} for path, each in audits]
    record |= {"runs": options.runs, "models": models}
    name, examined = stem("five-mistakes", record), [each for _, each in audits]
    write(options.out, name, record, _markdown(examined, record, name), poster(examined, machine))
    print("\n".join(f"{name}{suffix}" for suffix in (".json", ".md", ".png")))


def _arguments() -> argparse.Namespace:
    parser = script.parser("benchmarks.five_mistakes", __doc__)
    parser.add_argument("--runs", type=int, default=3, help="how often the whole waterfall is measured")
    parser.add_argument("--quick", action="store_true", help="a fifth of the time, without torch.compile: a trial only")
    options = parser.parse_args()
    if options.runs < 1:
        parser.error("--runs must be at least 1")
    return options


def _measured(path: str, name: str, options: argparse.Namespace) -> Iterator[Examined]:
    with plain_console(stderr=True).status("starting") as line:
        budget_s = QUICK_BUDGET_S if options.quick else BUDGET_S
        budget = Budget(budget_s, options.quick, lambda step: line.update(f"measuring {step.label}"))
        for examined in examine(load(path), name, budget, repeated(options.runs)):
            if examined.cut:
                sys.exit("stopped: nothing was written, since a result must be whole")
            if examined.unmeasured:
                sys.exit(f"{path}: {examined.unmeasured}")
            yield examined


def _markdown(audits: Sequence[Examined], record: dict[str, Any], name: str) -> str:
    parts = [
        "# What the five mistakes cost\n",
        f"![items a second, step by step]({name}.png)\n",
        f"{told(record)}\n",
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
    rows = [[f"{each.number} {each.title}", factor(each.factor), each.cost] for each in examined.verdicts]
    return "\n".join(table(["mistake", "costs", "measured"], rows)) + "\n"


def _steps(steps: Sequence[Step]) -> str:
    first = first_items_s(steps)
    rows = []
    for group in grouped(steps):
        rows.append([f"*{group.title}*", *[""] * len(HEADS)])
        rows += [[step.spec.label, *_cells(step, first)] for step in group.steps]
    return "\n".join(table(["step", *HEADS], rows, "l" + "r" * len(HEADS))) + "\n"


def _cells(step: Step, first: float) -> list[str]:
    found = cells(step, first) or ["", "", f"left out: {step.skipped}", "", "", ""]
    if step.spread:
        found[HEADS.index("items/s")] += f" ({' to '.join(number(each) for each in step.spread)})"
    return found


if __name__ == "__main__":
    main()
