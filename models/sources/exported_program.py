"""Loads a .pt2 export (torch.export) without letting the file run code.

torch itself unpickles parts of such a file without restriction: sample inputs that the restricted reader refuses, some
weights, opaque constants. It also loads the shared libraries of an AOTInductor package. All of these are blocked during
the load; an ordinary export needs none.
"""

import importlib
import os
import zipfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any
from unittest.mock import patch

import torch
from torch import nn

from ..errors import ModelError

# What torch names the folder of compiled libraries; an export that can be read otherwise has models/ beside it.
_COMPILED = "aotinductor/"
_ARCHIVE = "torch.export.pt2_archive._package"  # Since torch 2.8.


class _Refused:
    """Stands in for the pickle module: the file asked for unrestricted unpickling."""

    def __getattr__(self, name: str) -> Any:
        raise RuntimeError("unrestricted unpickling is refused")


def load(path: Path, location: str) -> nn.Module:
    """Return the program's module; raise ModelError if the file is not an export, or could run code."""
    if _is_compiled(path):
        raise ModelError(
            f"{location}: is an AOTInductor package, that is compiled machine code, not a .pt2 export\n"
            "help: export the program itself with torch.export.save; or name a factory that calls "
            "torch._inductor.aoti_load_package as source.factory, with backend: eager, where you trust the file"
        )
    try:
        with _no_code():
            return torch.export.load(str(path)).module()
    except Exception as error:
        if "nrestricted unpickling" in str(error) or "Weights only load failed" in str(error):
            raise ModelError(
                f"{location}: holds pickled objects, and loading them would run their author's code\n"
                "help: export it again with example inputs that are plain tensors"
            ) from error
        raise ModelError(
            f"{location}: not a .pt2 export ({type(error).__name__})\n"
            "help: make it with torch.export.save(torch.export.export(model.eval(), args, dynamic_shapes=...), path)"
        ) from error


def _is_compiled(path: Path) -> bool:
    if not zipfile.is_zipfile(path):
        return False
    with zipfile.ZipFile(path) as archive:
        return any(_COMPILED in name.lower() for name in archive.namelist())


def _refuse_libraries(*_: object, **__: object) -> None:
    raise RuntimeError("compiled libraries in a .pt2 are refused")


@contextmanager
def _no_code() -> Iterator[None]:
    with ExitStack() as stack:
        forced = {"TORCH_FORCE_WEIGHTS_ONLY_LOAD": "1", "TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD": "0"}
        stack.enter_context(patch.dict(os.environ, forced))
        archive: Any = None
        with suppress(ImportError):  # torch 2.6 and 2.7 read nothing but by torch.load.
            archive = importlib.import_module(_ARCHIVE)
        for name, stub in (("pickle", _Refused()), ("_load_aoti", _refuse_libraries)):
            if hasattr(archive, name):
                stack.enter_context(patch.object(archive, name, stub))
        yield
