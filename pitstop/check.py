"""`pitstop check`: shows what a config file will serve, or everything that is wrong with it."""

from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from configs.doors import doors, sentence, setting_of
from configs.loader import ConfigError, Deployment, check
from configs.prices import load_prices
from configs.problems import Problem, UnreadableError
from models import cache
from models.errors import ModelError

CLEAN, PROBLEMS, UNREADABLE = 0, 1, 2
# The one YAML in configs/ that Serve does not read.
PRICES = "prices.yaml"


def check_files(paths: Sequence[Path], console: Console | None = None) -> int:
    """Check each file, print the findings, and return the exit status: the worst of them."""
    # Key paths and messages hold square brackets, which rich would take for markup.
    console = console or Console(markup=False, highlight=False, soft_wrap=True)
    return max(_check_file(path, console) for path in paths)


def _check_file(path: Path, console: Console) -> int:
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
        console.print(f"{path}: {errors} error{'s' if errors > 1 else ''}", style="bold red")
        return PROBLEMS
    if deployment is not None:
        console.print(_table(deployment))
        if opened := sentence(list(doors(setting_of(deployment.raw)))):
            console.print(f"{path}: note: {opened}", style="cyan")
        if not _show_cache(console):
            return PROBLEMS
    console.print(f"{path}: ok", style="green")
    return CLEAN


def _show(place: str, problem: Problem, console: Console) -> None:
    if problem.severity == "warning":
        console.print(problem.text(f"{place}: warning"), style="yellow")
    else:
        console.print(problem.text(place), style="red")


def _show_cache(console: Console) -> bool:
    """Print where the cache is, its use and its bound; False where the bound is none."""
    try:
        bound_gib = cache.bound_gib()
    except ModelError as error:
        console.print(str(error), style="red")
        return False
    console.print(
        f"cache: {cache.cache_dir()}, {cache.used_bytes() / 2**30:.1f} of {bound_gib:g} GiB ({cache.VARIABLE})"
    )
    return True


def _table(deployment: Deployment) -> Table:
    table = Table("model", "device", "backend", "precision", "max rows", box=None, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column("route", overflow="fold")
    for app in deployment.models:
        config = app.config
        rows = app.tunables.max_rows or config.max_rows
        table.add_row(config.name, config.device, config.backend, config.precision, str(rows), app.route_prefix)
    return table
