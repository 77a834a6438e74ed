"""`pitstop check`: shows what a config file will serve, or everything that is wrong with it."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from configs.backends import short
from configs.lint.exposed_ports import exposed_ports, sentence, setting_of
from configs.loader import ConfigError, Deployment, ModelApp, check
from configs.prices import load_prices
from configs.problems import Problem, UnreadableError
from configs.suggest import advise
from models import cache
from models.errors import ModelError
from models.startup.labelled import check_file

from ..complete import complete
from ..report import terminal
from ..report.numbers import plural
from ..report.terminal import plain_console
from .load_models import Opened, open_models
from .ports_in_use import taken

CLEAN, PROBLEMS, UNREADABLE = 0, 1, 2
# The one YAML in configs/ that Serve does not read.
PRICES = "prices.yaml"


@dataclass(frozen=True, slots=True)
class CheckOptions:
    """What is checked beyond the file itself: whether its ports are free, and whether its models open.

    `brief`: print what is wrong and which ports are open, not what will be served.
    """

    ports: bool = False
    brief: bool = False
    load: bool = False
    model: str | None = None
    timeout_s: float = 600.0


def check_files(paths: Sequence[Path], console: Console | None = None, options: CheckOptions | None = None) -> int:
    """Check each file, print the findings, and return the exit status: the worst of them."""
    options = options or CheckOptions()
    # Key paths and messages hold square brackets, which rich would take for markup.
    console = console or plain_console(markup=False, soft_wrap=True)
    return max(_check_file(path, console, options) for path in paths)


def _check_file(path: Path, console: Console, options: CheckOptions) -> int:
    try:
        if path.name == PRICES:
            load_prices(path)
            console.print(f"{path}: ok", style="green")
            return CLEAN
        deployment, found = check(path)
    except UnreadableError as error:
        console.print(str(error), style="red")
        return UNREADABLE
    except ConfigError as error:
        console.print(str(error), style="red")
        return PROBLEMS
    for place, problem in found:
        _show(place, problem, console)
    errors = sum(problem.severity == "error" for _, problem in found)
    if errors:
        console.print(f"{path}: {plural(errors, 'error')}", style="bold red")
        return PROBLEMS
    if deployment is not None and not _serves(deployment, console, options):
        return PROBLEMS
    if not options.brief:
        console.print(f"{path}: ok", style="green")
    return CLEAN


def _serves(deployment: Deployment, console: Console, options: CheckOptions) -> bool:
    """Show what a file serves; return whether it can be served here, as far as was asked."""
    path = deployment.path
    try:
        models = [complete(app) for app in deployment.models]
        for app in models:
            check_file(app.config)
    except (ConfigError, ModelError) as error:
        console.print(f"{path}: {error}", style="red")
        return False
    if not options.brief:
        _show_models(deployment, models, console)
    if opened := sentence(list(exposed_ports(setting_of(deployment.raw)))):
        console.print(f"{path}: note: {opened}", style="cyan")
    return _show_cache(console, options.brief) and _fits(deployment, console, options)


def _show_models(deployment: Deployment, models: Sequence[ModelApp], console: Console) -> None:
    console.print(_table(deployment))
    for app in models:
        if app.config.source.pretrained is not None:
            console.print(f"{deployment.path}: {app.name}: {_signature(app)}")
        if placed := [f"{each.name} from {each.path}" for each in app.config.outputs if each.path is not None]:
            console.print(f"{deployment.path}: {app.name}: outputs {', '.join(placed)}")


def _fits(deployment: Deployment, console: Console, options: CheckOptions) -> bool:
    """Whether this machine can start it, as far as was asked."""
    path, names = deployment.path, [app.name for app in deployment.models]
    if options.model is not None and options.model not in names:
        console.print(f"{path}: there is no model {options.model!r}\nhelp: {advise(options.model, names)}", style="red")
        return False
    if options.ports and (held := taken(deployment.raw)):
        console.print(f"{path}: {held}", style="red")
        return False
    opened = (
        [_told(each, path, console) for each in open_models(deployment, options.model, options.timeout_s)]
        if options.load
        else []
    )
    return all(opened)


def _signature(app: ModelApp) -> str:
    """Return what a source says that the file does not."""
    from models.signature import listed

    config = app.config
    dims = (f"{name or 'lengths'} {list(dim.sizes)}" for name, dim in config.open_dims.items())
    return ", ".join([f"{listed(config.inputs)} to {listed(config.outputs)}", *dims])


def _told(opened: Opened, path: Path, console: Console) -> bool:
    if opened.output:
        console.print(opened.output)
    style = "green" if opened.ok else "red"
    console.print(f"{path}: {opened.name}: {'opens on ' if opened.ok else ''}{opened.text}", style=style)
    return opened.ok


def _show(place: str, problem: Problem, console: Console) -> None:
    if problem.severity == "warning":
        console.print(problem.text(f"{place}: warning"), style="yellow")
    else:
        console.print(problem.text(place), style="red")


def _show_cache(console: Console, brief: bool) -> bool:
    """Print where the cache is, its use and its bound, unless brief; False where the bound is none."""
    try:
        bound_gib = cache.bound_gib()
    except ModelError as error:
        console.print(str(error), style="red")
        return False
    if brief:
        return True
    console.print(
        f"cache: {cache.cache_dir()}, {cache.used_bytes() / 2**30:.1f} of {bound_gib:g} GiB ({cache.VARIABLE})"
    )
    return True


def _table(deployment: Deployment) -> Table:
    heads = ("model", "device", "backend", "precision", "max batch", "route")
    table = terminal.table(*heads, left=heads)
    for column in table.columns:
        column.overflow = "fold"
    for app in deployment.models:
        config = app.config
        rows = app.tunables.max_batch_size or config.max_batch_size
        table.add_row(config.name, config.device, short(config.backend), config.precision, str(rows), app.route_prefix)
    return table
