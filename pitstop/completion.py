"""What a shell completes after TAB: the names of a config's models, and YAML files; nothing, whatever goes wrong."""

from collections.abc import Iterator
from pathlib import Path

import typer

from .project import find_packages

CONFIG = Path("serve_config.yaml")
_SUFFIXES = (".yaml", ".yml")


def model_names(ctx: typer.Context, incomplete: str) -> list[str]:
    """Return the models of the config on the line, or of serve_config.yaml, whose names begin so."""
    # A line that ends with `--model` is not read to its end: its arguments are then still among the words.
    words = [each for each in ctx.args if each.endswith(_SUFFIXES)]
    given = words or ctx.params.get("config") or ctx.params.get("configs") or CONFIG
    paths = given if isinstance(given, list | tuple) else [given]
    try:
        return sorted({name for path in paths for name in _names(Path(path)) if name.startswith(incomplete)})
    except Exception:  # A shell would show a traceback between the words of the line.
        return []


def config_files(incomplete: str) -> list[str]:
    """Return the YAML files and the folders whose paths begin so."""
    folder, _, start = incomplete.rpartition("/")
    place = f"{folder}/" if "/" in incomplete else ""
    try:
        found = sorted(Path(place or ".").expanduser().iterdir())
    except OSError:
        return []
    named = [each for each in found if each.name.startswith(start) and (start or not each.name.startswith("."))]
    folders = [f"{place}{each.name}/" for each in named if each.is_dir()]
    return [*(f"{place}{each.name}" for each in named if each.suffix in _SUFFIXES and each.is_file()), *folders]


def _names(path: Path) -> Iterator[str]:
    find_packages()
    from configs.document import read
    from configs.problems import items, mapping

    for _, app in items(read(path).raw, "applications"):
        name = mapping(app, "args").get("name")
        if isinstance(name, str):
            yield name
