"""`pitstop export --mar`: a TorchServe archive becomes a folder to serve, and a list of what was lost."""

import importlib
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

import yaml
from rich.console import Console

from configs.loader import check, parse_model, parse_tunables
from models.errors import ModelError

from ..project import PROJECT
from . import mar_code, mar_handler, mar_settings, mar_weights, mar_yaml, signature_flags
from .mar import Archive, unpack
from .mar_handler import Handled
from .mar_settings import Settings
from .options import ExportOptions

LOST = "not carried over"
_UNWANTED = {"__pycache__", "__MACOSX"}


def bring(options: ExportOptions, console: Console) -> list[str]:
    """Import the archive and return what was not carried over; a ModelError leaves no new folder behind."""
    assert options.mar is not None
    if options.source or options.config or options.model or options.to:
        raise ModelError("--mar: goes with no SOURCE, --config, --model or --to\nhelp: the archive says what it holds")
    module = module_of(options.dest)
    existed = options.dest.exists()
    if existed and not options.force and (not options.dest.is_dir() or any(options.dest.iterdir())):
        raise ModelError(f"{options.dest}: is there already\nhelp: name a new folder, or write into it with --force")
    try:
        with tempfile.TemporaryDirectory() as folder:
            try:
                return _bring(options, unpack(options.mar, Path(folder)), module, console)
            except ModelError as error:
                raise ModelError(signature_flags.said(error).replace(f"{folder}/", "")) from error
    except BaseException:
        if not existed:
            shutil.rmtree(options.dest, ignore_errors=True)
        raise


def _bring(options: ExportOptions, archive: Archive, module: str, console: Console) -> list[str]:
    settings = mar_settings.translate(_own(archive), _properties(options, archive), archive.name)
    _copy(archive, options.dest, settings)
    handled = mar_handler.handle(archive, options.dest, module, signature_flags.tensors("--input", options.inputs))
    if options.outputs:
        handled.outputs = signature_flags.outputs(options.outputs)
    brought = mar_weights.bring(options, archive, module, handled, console)
    lost = [*settings.lost, *handled.lost, *brought.lost]
    args = _args(options, archive, settings, handled, brought)
    # Before anything is written: a name or a number may be one that this project does not take.
    parse_model(args, str(options.mar))
    parse_tunables(settings.user_config, str(options.mar))
    deployment = dict(settings.deployment)
    if settings.user_config:
        deployment["user_config"] = settings.user_config
    path = options.yaml or options.dest / f"{args['name']}.yaml"
    path.write_text(mar_yaml.render(str(options.mar), args, deployment, lost), encoding="utf-8")
    _show(options, path, [*settings.kept, *handled.kept, *brought.kept], lost, console)
    return lost


def module_of(dest: Path) -> str:
    """Return the import path of a folder, as `serve run` will see it from the working directory or the project."""
    for root in (Path.cwd(), PROJECT):
        if dest.resolve().is_relative_to(root) and dest.resolve() != root:
            parts = dest.resolve().relative_to(root).parts
            if all(part.isidentifier() for part in parts) and parts[0] not in sys.stdlib_module_names:
                return ".".join(parts)
    raise ModelError(
        f"{dest}: cannot be imported from\n"
        "help: name a folder under the working directory whose names are letters, digits and _, like imported/densenet"
    )


def _own(archive: Archive) -> dict[str, Any]:
    name = archive.file("configFile")
    if name is None:
        return {}
    try:
        found = yaml.safe_load((archive.folder / name).read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ModelError(f"{archive.path}: {name} is not YAML\nhelp: correct it and pack the archive again") from error
    return {str(key): value for key, value in found.items()} if isinstance(found, dict) else {}


def _properties(options: ExportOptions, archive: Archive) -> dict[str, str]:
    inside = archive.folder / "config.properties"
    path = options.ts_config or (inside if inside.is_file() else None)
    return mar_settings.properties_of(path.read_text(encoding="utf-8", errors="replace")) if path else {}


def _copy(archive: Archive, dest: Path, settings: Settings) -> None:
    dest.mkdir(parents=True, exist_ok=True)
    # These three are translated; a copy beside the translation would only be mistaken for it.
    done = {archive.file("serializedFile"), archive.file("configFile"), "config.properties"}
    names = [each for each in archive.files if each not in done and not _UNWANTED & set(Path(each).parts)]
    for name in names:
        (dest / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(archive.folder / name, dest / name)
    if not (dest / "__init__.py").exists():
        (dest / "__init__.py").write_text(f'"""Imported from the TorchServe archive {archive.path.name!r}."""\n')
    code = [name for name in names if name.endswith(".py") and "/" not in name]
    neighbours = {name.removesuffix(".py") for name in code} - {"__init__"}
    for name in code:
        settings.kept += mar_code.relative(dest / name, neighbours)
    if (required := archive.file("requirementsFile")) is not None:
        settings.lost.append(f"{required}: was copied; install it where Ray runs, nothing is installed at start")


def _args(
    options: ExportOptions, archive: Archive, settings: Settings, handled: Handled, brought: mar_weights.Brought
) -> dict[str, Any]:
    args: dict[str, Any] = {
        "name": options.name or archive.name,
        "version": str(archive.model.get("modelVersion", "1")),
    }
    args["device"] = settings.args.pop("device", "auto")
    args |= {**brought.args, **settings.args}
    if handled.hooks:
        args["predict"] = dict(handled.hooks)
    return args


def _show(options: ExportOptions, path: Path, kept: list[str], lost: list[str], console: Console) -> None:
    console.print(f"{options.dest}: imported from {options.mar}", style="green")
    for each in kept:
        console.print(f"kept: {each}")
    for each in lost:
        console.print(f"{LOST}: {each}", style="yellow")
    # The folder is younger than what the import system remembers of its parent.
    importlib.invalidate_caches()
    _, problems = check(path)
    for place, problem in problems:
        console.print(problem.text(place), style="red" if problem.severity == "error" else "yellow")
    if any(problem.severity == "error" for _, problem in problems):
        raise ModelError(f"{path}: is not yet one to be served\nhelp: correct what is named above, then import again")
    console.print(f"{path}: ok; next: pitstop audit {path}, then pitstop run {path}", style="green")
