"""Runs an export whose source may run its author's code: in a process of its own, which ends with the export.

The code still has the user's rights: a process is no sandbox. It keeps what the pickle does to Python (patched modules,
threads, signal handlers) out of the process that writes manifest and YAML.
"""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from configs.code_files import PROJECT
from models.errors import ModelError
from models.sources.urls import shown

from ..child_process import how_it_ended
from . import signature_flags
from .job import Job, Made

if TYPE_CHECKING:
    from torch import nn

_CHILD = "from pitstop.export.subprocess_unpickle import main; main()"
_LIMIT_S = 1800


def run(job: Job) -> Made:
    """Do the job in a subprocess; a ModelError there is a ModelError here."""
    with tempfile.TemporaryDirectory() as folder:
        answer = Path(folder) / "made.json"
        told = _spawn(job, answer)
        if not answer.is_file():
            raise ModelError(f"{shown(str(job.file))}: it cannot be exported: loading it {told}\nhelp: check the file")
        text = answer.read_text(encoding="utf-8")
        found = json.loads(text)
    if "error" in found:
        raise ModelError(found["error"])
    return Made.model_validate_json(text)


def _spawn(job: Job, answer: Path) -> str:
    # Our packages first: `models` and `configs` are names that a user's folder may have too.
    path = os.pathsep.join(str(Path(each).resolve()) for each in (str(PROJECT), *sys.path))
    try:
        # No shell and no name from the file: the job itself travels on stdin.
        done = subprocess.run(
            [sys.executable, "-P", "-c", _CHILD, str(answer)],
            input=job.model_dump_json(),
            env={**os.environ, "PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            timeout=_LIMIT_S,
        )
    except subprocess.TimeoutExpired as error:
        raise ModelError(
            f"{shown(str(job.file))}: took more than {_LIMIT_S} s to load\nhelp: check the file"
        ) from error
    return how_it_ended(done.returncode, (done.stdout.strip().splitlines() or [""])[-1])


def main() -> None:
    """The subprocess: a job on stdin, the answer into the file that argv names."""
    answer = Path(sys.argv[1])
    job = Job.model_validate_json(sys.stdin.read())
    try:
        text = _do(job).model_dump_json()
    except ModelError as error:
        text = json.dumps({"error": signature_flags.said(error)})
    answer.write_text(text, encoding="utf-8")


def _do(job: Job) -> Made:
    from models.sources import source

    from .artefact import make

    if not job.trusted:
        # TorchScript runs no Python, but what a stranger's archive computes need not be computed in the parent.
        assert job.source is not None
        return make(job, source.load(job.source))
    return make(job, _subject(job))


def _subject(job: Job) -> "nn.Module | Mapping[str, object]":
    from torch import nn

    found = _unpickled(str(job.file))
    if isinstance(found, nn.DataParallel):
        found = found.module
    if isinstance(found, nn.Module):
        return found
    for key in ("state_dict", "model_state_dict", "model"):
        if isinstance(found, Mapping) and isinstance(found.get(key), Mapping | nn.Module):
            found = found[key]
    if isinstance(found, nn.Module):
        return found
    if not isinstance(found, Mapping):
        raise ModelError(
            f"{shown(str(job.file))}: holds a {type(found).__name__}\nhelp: save the module or its state_dict"
        )
    return _network(job, found) if job.source is not None else found


def _unpickled(file: str) -> object:
    import torch

    from models.sources.files import fetch
    from models.sources.source import state_dict

    path, file = fetch(file), shown(file)
    if path.suffix == ".safetensors":
        return state_dict(path, file)
    try:
        return torch.load(path, map_location="cpu", weights_only=False)
    except (ModuleNotFoundError, AttributeError) as error:
        help_ = "run this where the code that the module was made of can be imported"
        raise ModelError(f"{file}: cannot be unpickled: {error}\nhelp: {help_}") from error
    except Exception as error:  # Whatever the author's code raises.
        raise ModelError(f"{file}: cannot be unpickled ({type(error).__name__})\nhelp: check the file") from error


def _network(job: Job, weights: Mapping[str, object]) -> "nn.Module":
    from models.sources import source

    assert job.source is not None
    module = source.load(job.source.model_copy(update={"weights": None, "sha256": None}))
    if weights and all(key.startswith("module.") for key in weights):
        weights = {key.removeprefix("module."): value for key, value in weights.items()}
    try:
        # The network's own method, where it has one: some rename the keys of old checkpoints.
        module.load_state_dict(weights)
    except Exception as error:
        line = " ".join(str(error).split())[:300]
        help_ = "check --arg (number of classes, width) and that the checkpoint is this network's"
        raise ModelError(f"{shown(str(job.file))}: does not fit {job.source.factory}: {line}\nhelp: {help_}") from error
    return module
