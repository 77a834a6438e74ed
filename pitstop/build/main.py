"""`pitstop build`: each model in a process of its own, its steps as they come, and the table of its candidates."""

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from rich.console import Console

from configs.backends import short
from configs.loader import ConfigError, ModelApp, load
from configs.suggest import advise
from models.startup import attempts
from models.startup.candidates import Tried

from .. import child_process
from ..report import terminal
from ..report.numbers import plural, precise
from ..report.terminal import plain_console

BUILT, FAILED, NOTHING = 0, 1, 2
_CHILD = "pitstop.build.build_model:build_one"
_MOST_CRASHES = 8
# Lines of what a build that fails has printed.
_BY_ITSELF = "no candidate was noted as tried, so the network may end it as it runs eagerly"
_SHOWN = 30


@dataclass(frozen=True, slots=True)
class BuildOptions:
    """What is built, and where it is kept."""

    config: Path
    model: str | None
    store: str | None
    timeout_s: float


@dataclass(frozen=True, slots=True)
class Order:
    """What a process builds."""

    config: str
    application: str
    store: str | None


@dataclass(frozen=True, slots=True)
class Kept:
    """Where a model was kept: the cache, the store if there is one, and the bytes of each file brought to it now."""

    cache: str
    store: str | None
    written: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Built:
    """What came of a model: a sentence, the table of its candidates, and lines of its checks.

    `kept`: where; None where the process could not say. `crashed`: a signal ended it.
    """

    ok: bool
    text: str
    table: tuple[Tried, ...] = ()
    checks: tuple[str, ...] = ()
    kept: Kept | None = None
    crashed: bool = False


def build_models(options: BuildOptions, console: Console | None = None) -> int:
    """Build the models of a file one after the other; return the exit status."""
    console = console or plain_console(markup=False, soft_wrap=True)
    try:
        deployment = load(options.config)
    except ConfigError as error:
        console.print(str(error), style="red")
        return NOTHING
    names = [app.name for app in deployment.models]
    if options.model is not None and options.model not in names:
        console.print(
            f"{options.config}: there is no model {options.model!r}\nhelp: {advise(options.model, names)}", style="red"
        )
        return NOTHING
    chosen = [app for app in deployment.models if options.model in (None, app.name)]
    found = [_build(app, options, console) for app in chosen]
    if kept := [each.kept for each in found if each.ok and each.kept is not None]:
        console.print(_places(kept))
    return BUILT if all(each.ok for each in found) else FAILED


def _build(app: ModelApp, options: BuildOptions, console: Console) -> Built:
    with tempfile.TemporaryDirectory(prefix="pitstop-attempts-") as folder:
        noted: dict[str, str] = {}
        for left in reversed(range(_MOST_CRASHES)):
            built = _attempt(app, options, console, folder)
            before, noted = noted, attempts.noted(Path(folder))
            if not built.crashed or not left:
                break
            if noted == before:
                # No candidate that can be left out was under way.
                built = replace(built, text=f"{built.text}; {'' if noted else _BY_ITSELF}".removesuffix("; "))
                break
            # What has ended the process twice is left out.
            console.print(f"{app.name}: {built.text}\nIt is built again, and what ends it is left out.", style="yellow")
    if built.table:
        console.print(_table(built.table))
    for line in built.checks:
        console.print(f"{app.name}: {line}")
    console.print(f"{app.name}: {built.text}", style="green" if built.ok else "red")
    return built


def _attempt(app: ModelApp, options: BuildOptions, console: Console, folder: str) -> Built:
    order = Order(str(options.config), app.name, options.store)
    environment = {**app.environment(), attempts.VARIABLE: folder}
    built = Built(False, "its build said nothing of how it ended")
    with tempfile.TemporaryFile() as printed:
        try:
            for told in child_process.run(_CHILD, order, options.timeout_s, environment, printed):
                if isinstance(told, Built):
                    built = told
                else:
                    console.print(str(told), style="dim")
        except child_process.TooSlowError as slow:
            built = replace(built, ok=False, text=f"its build {slow}\nhelp: give it longer with --timeout")
        except child_process.EndedError as ended:
            text = f"its build {ended}\nhelp: read what it printed, above"
            built = replace(built, ok=False, text=text, crashed=ended.crashed)
        if not built.ok:
            console.print("\n".join(child_process.last_lines(printed, _SHOWN)))
    return built


def _places(kept: Sequence[Kept]) -> str:
    """Return where the models of a run were kept: the cache, and the store with what the run has written there."""
    stores: dict[str, list[int]] = {}
    for each in kept:
        if each.store is not None:
            stores.setdefault(each.store, []).extend(each.written)
    caches = dict.fromkeys(f"the cache {each.cache}" for each in kept)
    written = (f"the store {place} ({_amount(sizes)})" for place, sizes in stores.items())
    return f"kept in {', '.join([*caches, *written])}"


def _amount(sizes: Sequence[int]) -> str:
    return f"{plural(len(sizes), 'file')} written, {precise(sum(sizes) / 1e6)} MB" if sizes else "nothing new to write"


def _table(tried: tuple[Tried, ...]) -> object:
    heads = ("backend", "precision", "rows/s", "", "why")
    table = terminal.table(*heads, left=("backend", "precision", "", "why"))
    table.columns[-1].overflow = "fold"
    for each in tried:
        rate = "" if each.rows_s is None else f"{each.rows_s:,.1f}"
        table.add_row(short(each.backend), each.precision, rate, each.outcome.replace("_", " "), each.reason)
    return table
