"""`pitstop init` and `pitstop add`: from a network to a config that was checked, with a client and a test.

The network runs in a child process. All files are made in a folder beside, and moved where they belong once a start has
accepted the config, so that a model which cannot be served leaves nothing behind.
"""

import os
import re
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console

from configs.code_files import PROJECT
from configs.loader import check
from configs.problems import ConfigError
from models.errors import ModelError

from .. import child_process
from ..check.load_models import Opened, open_models
from ..report.terminal import plain_console
from ..yaml_edit.patch import PatchError
from . import added, told, write
from .draft import Draft
from .options import InitOptions
from .subject import name_of

DONE, UNUSABLE = 0, 2
_CHILD = "pitstop.init.find:find"
_LIMIT_S = 600.0
# Lines of what a run that fails has printed.
_SHOWN = 30


def init(options: InitOptions, console: Console | None = None) -> int:
    """Write what serves a model, show what to run next, and return the exit status."""
    console = console or plain_console(markup=False, soft_wrap=True)
    try:
        _init(options, console)
    except (ConfigError, ModelError, PatchError) as error:
        console.print(str(error), style="red")
    except OSError as error:
        console.print(f"{error.filename or options.source}: {error.strerror or error}", style="red")
        console.print("help: check that the folder exists, has room, and may be written to", style="red")
    else:
        return DONE
    return UNUSABLE


def _init(options: InitOptions, console: Console) -> None:
    name = name_of(options)
    folder, config = _places(options, name)
    if options.config is not None:
        added.refuse_clash(options.config, name)
    _refuse_existing(options, folder, config, name)
    with _draft_folder() as drafted:
        console.print(f"running {options.source} to find out what it takes and gives …")
        draft = _found(options, drafted, folder, console)
        told.show_found(draft, console)
        text = _accepted(draft, drafted, folder, config, options, console)
        made = [file for file in sorted(drafted.iterdir()) if file.name not in ("draft.yaml", "__pycache__")]
        refuse(options, [folder / file.name for file in made])
        folder.mkdir(parents=True, exist_ok=True)
        for file in made:
            move(file, folder / file.name)
    _put(config, text)
    _put(folder / write.CLIENT, write.client(draft))
    test = folder / write.test_file(draft.name)
    _put(test, write.test(draft, config, test))
    told.show_next(draft, config, folder, [file.name for file in made], options, console)


def _places(options: InitOptions, name: str) -> tuple[Path, Path]:
    """Return the folder of what is written, and the config."""
    to = options.to or Path(name.replace("-", "_").replace(".", "_"))
    if options.to is None and to.resolve() == Path(options.source).resolve():
        to = Path(f"{to}_service")
    if to.suffix in (".yaml", ".yml"):
        if options.config is not None:
            raise ModelError(
                f"--out {to}: names a file, but the model goes into {options.config}\n"
                "help: name the folder of its client and test"
            )
        return to.parent, to
    if to.resolve().parent == PROJECT and (to / "__init__.py").exists():
        raise ModelError(f"{to}: is a package of pitstop\nhelp: name another folder with --out")
    return to, options.config or to / write.CONFIG


def _refuse_existing(options: InitOptions, folder: Path, config: Path, name: str) -> None:
    own = [] if options.config is not None else [config]
    refuse(options, [*own, folder / write.CLIENT, folder / write.test_file(name), folder / "hooks.py"])


def refuse(options: InitOptions, written: Iterable[Path]) -> None:
    """Raise ModelError if one of the files is there already, unless they may be overwritten."""
    there = [path for path in written if path.exists()]
    if there and not options.force:
        more = (
            "" if options.config is not None else f"; to put a model into a config, pitstop add {options.source} CONFIG"
        )
        other = _other_model(there[0].parent / write.CLIENT, name_of(options))
        if other is not None:
            raise ModelError(
                f"{there[0]}: is there already, and its folder is of the model {other!r}\n"
                "help: name a new folder with --out"
            )
        raise ModelError(
            f"{there[0]}: is there already\nhelp: name a new folder with --out, or overwrite it with --force{more}"
        )


def _other_model(client: Path, name: str) -> str | None:
    """Return which other model a written client asks."""
    text = client.read_text(encoding="utf-8") if client.is_file() else ""
    found = re.search(r'^URL = .*"/v2/models/(.+)"$', text, re.MULTILINE)
    return found[1] if found and found[1] != name else None


@contextmanager
def _draft_folder() -> Iterator[Path]:
    # In the working directory, from which code is loaded and paths are read; a name that a module may have.
    folder = Path(os.path.relpath(tempfile.mkdtemp(prefix="pitstop_draft_", dir=Path.cwd())))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _found(options: InitOptions, drafted: Path, folder: Path, console: Console) -> Draft:
    order = options, str(drafted), str(folder)
    with tempfile.TemporaryFile() as printed:
        try:
            [(ok, found)] = child_process.run(_CHILD, order, _LIMIT_S, printed=printed)
        except child_process.EndedError as ended:
            raise ModelError(
                f"{options.source}: its run {ended}\nhelp: the network's own code or a library of it ends it"
            ) from ended
        if not ok:
            for line in child_process.last_lines(printed, _SHOWN):
                console.print(line, style="dim")
            raise ModelError(str(found).replace(f"{drafted}/", f"{folder}/"))
    assert isinstance(found, Draft)
    return found


def _accepted(draft: Draft, drafted: Path, folder: Path, config: Path, options: InitOptions, console: Console) -> str:
    """Return the text of the config with the first variant that a start accepts."""
    console.print("starting it once, as a replica does …")
    failed: Opened | None = None
    for args in draft.variants:
        path = drafted / "draft.yaml"
        path.write_text(write.config(draft, args, config, told.typed(options)), encoding="utf-8")
        opened = _opened(path)
        if opened.ok:
            told.show_opened(draft, args, opened, failed, console)
            text = path.read_text(encoding="utf-8")
            if options.config is not None:
                text = added.extended(options.config, draft, args, path)
            return _moved(text, drafted, folder)
        failed = failed or opened
    assert failed is not None
    raise ModelError("\n".join(filter(None, [failed.output, f"{draft.name}: {failed.text}"])))


def _opened(path: Path) -> Opened:
    deployment, problems = check(path)
    for place, problem in problems:
        if problem.severity == "error":
            raise ConfigError(problem.text(place))
    assert deployment is not None
    [opened] = open_models(deployment, None, _LIMIT_S, kept=True)
    return opened


def _moved(text: str, drafted: Path, folder: Path) -> str:
    """Return a config in which what lies in the draft's folder is where it will be."""
    module = ".".join(folder.parts)
    return text.replace(f"{drafted}/", f"{folder.as_posix()}/").replace(f"{drafted}.", f"{module}.")


def move(file: Path, to: Path) -> None:
    """Put a drafted file or folder where it will be; what else is in a folder there stays."""
    if file.suffix == ".py":
        text = file.read_text(encoding="utf-8")
        file.write_text(text.replace(f"{file.parent.name}/", f"{to.parent.as_posix()}/"), encoding="utf-8")
    if file.is_dir():
        shutil.copytree(file, to, dirs_exist_ok=True)
    else:
        shutil.move(file, to)


def _put(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
