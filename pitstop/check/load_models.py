"""`pitstop check --load`: opens every model of a config as a start would, without Ray.

Each has a process of its own, so that one which crashes or exits is told by name, and the others are opened as well.
"""

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from configs.loader import Deployment, ModelApp

from .. import child_process

_CHILD = "pitstop.check.open_model:open_one"
# Lines of what a start that fails has printed.
_SHOWN = 30


@dataclass(frozen=True, slots=True)
class Opened:
    """What came of one model: a sentence, and what its start warned of, or its last words where it failed."""

    name: str
    ok: bool
    text: str
    output: str = ""


def open_models(deployment: Deployment, model: str | None, most_s: float, kept: bool = False) -> Iterator[Opened]:
    """Open one model after the other, each for no longer than `most_s`; yield what came of it.

    With `kept` the outcome is kept, so that the first start of a replica goes by it.
    """
    for app in deployment.models:
        if model is None or app.name == model:
            yield _open(deployment.path, app, most_s, kept)


def _open(config: Path, app: ModelApp, most_s: float, kept: bool) -> Opened:
    order = (str(config), app.name, kept)
    with tempfile.TemporaryFile() as printed:
        try:
            [(ok, text, warned)] = child_process.run(_CHILD, order, most_s, app.environment(), printed)
        except child_process.TooSlowError as slow:
            ok, text, warned = False, f"its start {slow}\nhelp: give it longer with --timeout", ""
        except child_process.EndedError as ended:
            ok, text, warned = False, f"its start {ended}\nhelp: the model's own code or a library of it ends it", ""
        return Opened(app.name, ok, text, warned if ok else "\n".join(child_process.last_lines(printed, _SHOWN)))
