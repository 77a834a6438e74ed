"""Chooses the steps of an audit's plots, and their titles."""

from collections.abc import Sequence

from ..measure.hardware import Hardware
from ..report.numbers import TIMES, plural
from .case import Case
from .examine import Examined
from .formatting import times
from .plot import Panel, png
from .step import NEW, PADDED, Group, Step, find, grouped, ran
from .timing_findings import WORTH


def picture(examined: Examined, machine: Hardware) -> bytes | None:
    """Return the PNG of a model's waterfall, or None if nothing was measured."""
    steps = drawn(examined.case.steps)
    return png([_panel(examined, machine, grouped(steps))]) if steps else None


def poster(audits: Sequence[Examined], machine: Hardware) -> bytes:
    """Return one short PNG of several models: the way to the config, its best batch, and the best that is left."""
    return png([_panel(each, machine, [Group("", tuple(brief(each.case)))]) for each in audits])


def drawn(steps: Sequence[Step]) -> list[Step]:
    """Return the steps worth a bar: what was left out, or costs nothing here, stays in the table."""
    padded, new = find(steps, PADDED), find(steps, NEW)
    costs = padded is not None and new is not None and times(new, padded) >= WORTH
    return [step for step, _ in ran(steps) if costs or step.spec.key not in (PADDED, NEW)]


def brief(case: Case) -> list[Step]:
    """Return the steps of a poster, in order."""
    found = [step for step, _ in ran(case.steps) if step.spec.rows == 1 and step.spec.kind in ("mistake", "path")]
    found = [step for step in found if step.spec.key not in (PADDED, NEW)]
    best, option = case.many, case.step("option-batch")
    found += [best] if best else []
    found += [option] if option and best and times(best, option) >= WORTH else []
    return found + [step for step in (case.step("cpu"),) if step]


def _panel(examined: Examined, machine: Hardware, groups: Sequence[Group]) -> Panel:
    case = examined.case
    config = case.app.config
    threads = f", {plural(examined.threads, 'thread')}" if case.device == "cpu" else ""
    place = machine.title() if case.device == "cuda" else f"{machine.cores} cores of {machine.cpu}"
    first, best = groups[0].steps[0], case.many or case.one
    gain = f"From the first bar to the config at its best: {times(first, best):.1f}{TIMES}. " if best else ""
    named = zip(config.open_dims, config.middle_sizes, strict=True)
    sizes = ", ".join(f" at {name or 'length'} {size}" for name, size in named)
    subtitle = f"{gain}Items a second at the median forward{sizes}; each factor is against the first bar."
    chose = f": {case.chose}" if case.chose else ""
    return Panel(f"{config.name} on {place}{threads}{chose}", subtitle, groups, best)
