"""AOTInductor: one package of machine code for all batch sizes and open dimensions, which a start loads in a second.

Compiling takes minutes and a C++ compiler, so no start does it: `pitstop build` does, and
`audit` and `tune` too. A start takes what is kept.
"""

import importlib
import logging
import os
import re
import shutil
import subprocess
import tempfile
import time
import warnings
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import cache, partial
from pathlib import Path
from typing import Any
from unittest.mock import patch

import torch

from configs.backends import EAGER

from .. import cache as files
from ..errors import first_line
from ..runtime.output_paths import returns_list_of_rows
from ..runtime.runner import Forward
from ..user_code import call
from . import store
from .aoti_container import EXPECTED, load
from .build import Compiled, Uncompiled
from .expected_inputs import NotExpectedError, expected_by, to_json
from .export_reads import nodes_of
from .exporting import exported
from .refused import Refused
from .run_watch import watched
from .source_lines import SourceLine, innermost_in
from .torchscript import loaded_script

_NAME = "aoti"
_FLOOR_DIVIDES = {torch.ops.aten.floor_divide.default, torch.ops.aten.floor_divide.Scalar}
_DIVIDES = {torch.ops.aten.div.Tensor_mode, torch.ops.aten.div.Scalar_mode}


def build(given: Uncompiled) -> Compiled:
    """Load what is kept; compile it where there may be minutes; else eager, with the reason."""
    if (refused := _never(given)) is not None:
        return Compiled(given.module, EAGER, (refused,))
    key, device = store.key_of(given, _NAME), given.layout.device

    def kept(package: Path) -> Compiled:
        return Compiled(load(package, device), _NAME, made="before")

    if given.minutes:
        made = partial(_made, given, key)
        return store.kept_or_made(_NAME, key, kept, made, publish=given.publish, stale=given.stale)
    return store.read(_NAME, key, kept, stale=given.stale) or Compiled(
        given.module, EAGER, (Refused(_NAME, "not_built"),)
    )


def _made(given: Uncompiled, key: store.Key | None) -> Compiled:
    made = _compiled(given, key)
    return Compiled(given.module, EAGER, (made,)) if isinstance(made, Refused) else Compiled(made, _NAME)


def _compiled(given: Uncompiled, key: store.Key | None) -> Forward | Refused:
    if not has_compiler():
        return Refused(_NAME, "no_compiler", compiler_error())
    began, device = time.perf_counter(), given.layout.device
    program = _program(given)
    if isinstance(program, Refused):
        return program
    with tempfile.TemporaryDirectory(prefix="package-", dir=_workshop()) as folder:
        package = Path(folder) / f"{_NAME}.pt2"
        # Frozen weights are packed for oneDNN. On a GPU there is nothing to pack, and it may lose (pytorch#119183).
        refused = compile_package(program, package, freezing=device.type == "cpu")
        if refused is not None:
            return refused
        seconds = time.perf_counter() - began
        store.write(_NAME, key, partial(shutil.copyfile, package), publish=given.publish, seconds=seconds)
        return load(package, device)


def _program(given: Uncompiled) -> torch.export.ExportedProgram | Refused:
    """Return a program that answers as the network does for all that may come, or why there is none."""
    found = exported(given)
    if isinstance(found, Refused):
        return replace(found, way=_NAME)
    unpadded = [dim.name or "length" for dim in given.layout.dims if not dim.padded and dim.name in found.narrowed]
    if unpadded:
        return Refused(_NAME, "fixed_size", f"every size of {' and '.join(unpadded)}")
    if (line := _floors(found.program)) is not None:
        return Refused(_NAME, "floors", "", 0.0, line.file, line.line, line.text)
    try:
        return watched(given.module, given.probes).refused(_NAME) or found.program
    except Exception as error:  # Of the network, without the watch too.
        return Refused(_NAME, "not_compilable", first_line(error))


def _floors(program: torch.export.ExportedProgram) -> SourceLine | None:
    """Return the line that divides floats and rounds down; None where there is none.

    Inductor divides and floors. Eager corrects the quotient: of 0.1, 0.2, … by 0.1 every second one differs by one.
    """
    for _, node in nodes_of(program):
        down = node.target in _FLOOR_DIVIDES or (
            node.target in _DIVIDES and node.kwargs.get("rounding_mode") == "floor"
        )
        if down and node.meta["val"].is_floating_point():
            return innermost_in(node.meta.get("stack_trace") or "") or SourceLine("", 0, "")
    return None


def has_compiler() -> bool:
    """Whether torch finds a C++ compiler: $CXX, or g++."""
    builder = importlib.import_module("torch._inductor.cpp_builder")
    try:
        return bool(builder.get_cpp_compiler())
    except Exception:  # InvalidCxxCompiler; in another torch perhaps what the system raises.
        return False


def compiler_error() -> str:
    """Return the first line of what the compiler says where it fails; "" where there is none, or it works."""
    named = importlib.import_module("torch._inductor.config").cpp.cxx
    name = str(named if isinstance(named, str) else named[-1])
    try:
        ran = subprocess.run([name, "--version"], capture_output=True, text=True, errors="replace", check=False)
    except OSError as error:
        # Whoever names one in $CXX is told that this one is not there.
        return "" if name == "g++" and isinstance(error, FileNotFoundError) else f"{Path(name).name}: {error.strerror}"
    if not ran.returncode:
        return ""
    lines = (ran.stderr + ran.stdout).split("\n")
    said = next((line.strip()[:200] for line in lines if line.strip()), f"exit status {ran.returncode}")
    return f"{Path(name).name}: {said}"


def compile_package(program: torch.export.ExportedProgram, package: Path, freezing: bool) -> Refused | None:
    """Compile a program into a package, which ends in .pt2; return why that cannot be done, None where it is done."""
    try:
        options = {"freezing": freezing, "aot_inductor.metadata": {EXPECTED: to_json(expected_by(program))}}
        _compile(program, package, options)
        if may_abort(package):
            _compile(program, package, {**options, "cpp.threads": 1})
    except NotExpectedError as error:
        return Refused(_NAME, "not_compilable", str(error))
    except Exception as error:  # Inductor and g++ raise dozens of types; each means "not compilable".
        return Refused(_NAME, "not_compilable", _said(error))
    return None


def may_abort(package: Path) -> bool:
    """Whether a loop of several threads checks an index: there a bad one, a token that is none say, ends the process.

    In a loop of one thread the forward raises. The matrix products keep their threads: they are torch's.
    """
    with zipfile.ZipFile(package) as archive:
        sources = [archive.read(each) for each in archive.namelist() if each.endswith(".cpp")]
    return any(b"AOTI_TORCH_CHECK(" in each and b"#pragma omp parallel" in each for each in sources)


def _never(given: Uncompiled) -> Refused | None:
    if returns_list_of_rows(given.module):
        return Refused(_NAME, "list_of_rows")
    if given.config.random:
        return Refused(_NAME, "random")
    return Refused(_NAME, "is_script") if loaded_script(given.module) is not None else None


def _compile(program: torch.export.ExportedProgram, package: Path, options: dict[str, Any]) -> None:
    inductor: Any = importlib.import_module("torch._inductor")
    # Where gradients are on, inductor does not freeze, and says nothing: the convolutions of ResNet-50 stay unpacked.
    with _quiet(), _no_traces(), torch.no_grad(), inductor.config.patch(options):
        call(inductor.aoti_compile_and_package, program, package_path=str(package))


def _said(error: Exception) -> str:
    """Return the first error of g++, or the first line that it printed, where it failed; else torch's first line."""
    text = str(error)
    found = re.search(r"^.*\berror: .*$", text, re.M) or re.search(r"(?<=^Output:\n).+$", text, re.M)
    return f"g++: {found[0].strip()[:200]}" if found else first_line(error)


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep torch's warnings out of the log: what matters of a failure is in the reason."""
    logger = logging.getLogger("torch")
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)


@contextmanager
def _no_traces() -> Iterator[None]:
    """Let torch write into a folder of ours, and remove what a compilation leaves there, files and processes."""
    folder = _workshop()
    # Half of the time goes into headers, which later compilations of this process use again.
    headers = importlib.import_module("torch._inductor.codecache")
    moved = patch.object(headers, "_HEADER_DIR", str(folder / "headers"), create=True)
    pools: Any = importlib.import_module("torch._inductor.async_compile")
    had_workers = bool(getattr(pools, "_pool_set", True))
    try:
        with patch.dict(os.environ, {"TORCHINDUCTOR_CACHE_DIR": str(folder)}), moved:
            yield
    finally:
        for path in folder.rglob("*"):
            if path.is_file() and path.suffix in (".so", ".o", ".bin"):
                path.unlink(missing_ok=True)
        if not had_workers:
            pools.shutdown_compile_workers()


@cache
def _open_workshop() -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory(prefix="pitstop-compiling-", dir=files.temporary(), ignore_cleanup_errors=True)


def _workshop() -> Path:
    """Return this process's folder for compiling, where more space is free; removed when the process ends."""
    return Path(_open_workshop().name)
