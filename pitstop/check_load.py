"""`pitstop check --load`: opens every model of a config as a start would, without Ray.

Each has a process of its own, so that one which crashes or exits is told by name, and the others are opened as well.
"""

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from configs.loader import Deployment, ModelApp

PROJECT = Path(__file__).resolve().parents[1]


@dataclass(frozen=True, slots=True)
class Opened:
    """What came of one model: a sentence, and its traceback or last words where it failed."""

    name: str
    ok: bool
    text: str
    output: str = ""


def open_models(deployment: Deployment, model: str | None, most_s: float) -> Iterator[Opened]:
    """Open one model after the other, each for no longer than `most_s`; yield what came of it."""
    for app in deployment.models:
        if model is None or app.name == model:
            yield _open(deployment.path, app, most_s)


def _open(config: Path, app: ModelApp, most_s: float) -> Opened:
    name, variables = app.name, app.environment()
    with tempfile.TemporaryDirectory() as folder:
        result, log = Path(folder, "result.json"), Path(folder, "log")
        argv = [sys.executable, "-m", "pitstop.open_one", str(config), name, str(result)]
        given = variables.get("PYTHONPATH", os.environ.get("PYTHONPATH", ""))
        path = os.pathsep.join([str(Path.cwd()), str(PROJECT), given]).rstrip(os.pathsep)
        with log.open("wb") as out:
            process = subprocess.Popen(
                argv, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT,
                env={**os.environ, **variables, "PYTHONPATH": path}, start_new_session=True,
            )  # fmt: skip
            try:
                status = process.wait(timeout=most_s)
            except subprocess.TimeoutExpired:
                _kill(process)
                text = f"is not ready after {most_s:g} s\nhelp: give it longer with --timeout"
                return Opened(name, False, text, _last(log))
            except BaseException:  # Ctrl-C does not reach a session of its own.
                _kill(process)
                raise
        if not result.is_file():
            return Opened(name, False, _ended(status), _last(log))
        found = json.loads(result.read_text(encoding="utf-8"))
        return Opened(name, found["ok"], found["text"], "" if found["ok"] else _last(log))


def _kill(process: "subprocess.Popen[bytes]") -> None:
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _ended(status: int) -> str:
    how = f"by {signal.Signals(-status).name}" if status < 0 else f"with status {status}"
    return f"its process ended {how} while the model was opened\nhelp: the model's own code or a library of it ends it"


def _last(log: Path) -> str:
    return "\n".join(log.read_text(encoding="utf-8", errors="replace").splitlines()[-30:])
