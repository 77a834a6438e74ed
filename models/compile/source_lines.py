"""Finds the line of a network that torch speaks of: the user's, or that of a library, never torch's own."""

import re
import sysconfig
import traceback
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

import torch

from configs.code_files import PROJECT

# Around the network there is what calls and watches it.
_CALLERS = tuple(f"{PROJECT}/models/{name}" for name in ("compile/", "runtime/", "user_code.py"))
_NOT_THE_NETWORK = (f"{Path(torch.__file__).parent}/", "<", *_CALLERS)
_PACKAGES = Path(sysconfig.get_paths()["purelib"])
_PYTHON = tuple(f"{sysconfig.get_paths()[kind]}/" for kind in ("stdlib", "platstdlib"))
_INSTALLED = tuple(f"{sysconfig.get_paths()[kind]}/" for kind in ("purelib", "platlib"))
# Of a graph's node, as traceback writes one.
_IN_TEXT = re.compile(r'File "([^"]+)", line (\d+), in [^\n]*(?:\n +([^\n]+))?')
_MOST_SHOWN = 120


@dataclass(frozen=True, slots=True)
class SourceLine:
    """A line of code; `file` is as people name it."""

    file: str
    line: int
    text: str


def innermost(frames: Iterable[traceback.FrameSummary]) -> SourceLine | None:
    """Return the innermost line outside torch; None where there is none."""
    found = [each for each in frames if not each.filename.startswith(_NOT_THE_NETWORK)]
    return _line(found[-1].filename, found[-1].lineno or 0, found[-1].line) if found else None


def innermost_in(stack: str) -> SourceLine | None:
    """Return the same of a stack that torch keeps as text."""
    found = [each for each in _IN_TEXT.findall(stack) if not each[0].startswith(_NOT_THE_NETWORK)]
    return _line(found[-1][0], int(found[-1][1]), found[-1][2]) if found else None


def of_the_network(frame: FrameType) -> bool:
    """Whether a frame runs code of the user's or of a library, neither torch's nor Python's own."""
    file = frame.f_code.co_filename
    return not file.startswith(_NOT_THE_NETWORK) and (file.startswith(_INSTALLED) or not file.startswith(_PYTHON))


def _line(file: str, line: int, text: str | None) -> SourceLine:
    path = Path(file)
    below = next((each for each in (_PACKAGES, Path.cwd(), PROJECT) if path.is_relative_to(each)), None)
    return SourceLine(str(path.relative_to(below) if below else path), line, (text or "").strip()[:_MOST_SHOWN])
