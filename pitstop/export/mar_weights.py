"""An archive's serialized file, made servable: TorchScript as it is, weights as safetensors for its model file."""

import shutil
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.console import Console

from configs.schema import SourceConfig
from models.errors import ModelError
from models.sources.files import digest

from ..measure.hardware import versions
from . import checkpoint, mar_code, signature_flags, yaml_lines
from .artefact import make
from .job import Job, Made
from .manifest import manifest, write
from .mar import Archive
from .mar_handler import Handled
from .options import ExportOptions
from .subprocess_unpickle import run

_OUTPUT_HELP = "name what the model returns with --output NAME:DATATYPE:SHAPE, such as --output scores:FP32:-1,1000"
_WARNING = (
    "warning: --trust-pickle runs the archive's code; it runs in a subprocess, with your rights: "
    "do this only with archives that you trust"
)


@dataclass(slots=True)
class Brought:
    """Source and signature for `args`, and what is to be said of them."""

    args: dict[str, Any] = field(default_factory=dict)
    kept: list[str] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)


def bring(options: ExportOptions, archive: Archive, module: str, handled: Handled, console: Console) -> Brought:
    """Write the weights into the folder, with a manifest. The archive's code runs only in a subprocess, if trusted."""
    _check(archive, handled)
    serialized = archive.file("serializedFile")
    assert serialized is not None
    job = _job(options, archive, module, handled, serialized)
    if job.trusted:
        console.print(_WARNING, style="yellow")
    made = _made(job, handled, archive.folder / serialized)
    dest = Path(job.dest)
    origin = {"file": str(options.mar), "member": serialized, "sha256": digest(archive.folder / serialized)}
    content = manifest(job, made, dest, origin, versions(), datetime.now(UTC))
    write(content, dest)
    found = Brought(yaml_lines.args_of(job, made, _location(dest), content["sha256"]))
    if made.cases:
        found.kept.append(
            f"{serialized}: off the archive's by at most {made.worst:.1e}, over {len(made.cases)} batches"
        )
    else:
        found.kept.append(f"{serialized} -> {dest.name}: {made.tensors} tensors, the same bit by bit")
        found.lost.append(
            "the network was not run: `pitstop audit` tells whether code, weights and outputs fit, "
            "or import again with --trust-pickle"
        )
    return found


def _check(archive: Archive, handled: Handled) -> None:
    handler = archive.model.get("handler")
    name = archive.file("serializedFile")
    if name is None:
        raise ModelError(
            f"{archive.path}: names no serializedFile: its handler {handler} loads the model by itself\n"
            "help: load it in Python, save its state_dict, and use `pitstop export` with --factory"
        )
    if not name.endswith((".pt", ".pth", ".bin", ".safetensors")):
        raise ModelError(
            f"{archive.path}: serializedFile {name} is no PyTorch checkpoint\n"
            "help: archive TorchScript or a state_dict; ONNX, TensorRT and AOT libraries are not served here"
        )
    if not handled.inputs:
        raise ModelError(
            f"{archive.path}: does not say what its model takes, and handler {handler} does not imply it\n"
            "help: name each input with --input NAME:DATATYPE:SHAPE, such as --input x:FP32:-1,64"
        )


def _job(options: ExportOptions, archive: Archive, module: str, handled: Handled, serialized: str) -> Job:
    path = archive.folder / serialized
    script = checkpoint.is_torchscript(path)
    lengths = signature_flags.lengths(options.lengths)
    base = Job(to="torchscript", dest=str(options.dest.resolve() / "model.pt"), file=str(path), lengths=lengths)
    base = base.model_copy(update={"inputs": handled.inputs, "outputs": handled.outputs})
    if script:
        return base.model_copy(update={"source": SourceConfig(torchscript=str(path))})
    source = SourceConfig(factory=_factory(options, archive, module), kwargs=signature_flags.kwargs(options.kwargs))
    dest = str(options.dest.resolve() / "weights.safetensors")
    return base.model_copy(
        update={"to": "safetensors", "dest": dest, "source": source, "trusted": options.trust_pickle}
    )


def _factory(options: ExportOptions, archive: Archive, module: str) -> str:
    if options.factory is not None:
        return options.factory
    name = archive.file("modelFile")
    if name is None:
        raise ModelError(
            f"{archive.path}: holds weights and no modelFile\n"
            "help: name what builds the network with --factory path/to/file.py:callable"
        )
    stem = Path(name).with_suffix("").as_posix().replace("/", ".")
    return f"{module}.{stem}:{mar_code.network_class(archive.folder / name)}"


def _made(job: Job, handled: Handled, path: Path) -> Made:
    if job.to == "torchscript":
        made = run(job)
        # The archive's own bytes: what was saved again was for the comparison.
        shutil.copyfile(path, job.dest)
        return made
    if job.trusted:
        return run(job)
    if not handled.outputs:
        help_ = f"{_OUTPUT_HELP}; or let its code run once, in a subprocess: --trust-pickle"
        raise ModelError(f"{path.name}: the archive does not say what its model returns\nhelp: {help_}")
    assert job.source is not None
    made = make(job.model_copy(update={"source": None, "inputs": ()}), checkpoint.read(str(path)))
    return made.model_copy(update={"factory": job.source.factory, "outputs": handled.outputs})


def _location(path: Path) -> str:
    """Return a path as a config should have it: from the working directory, where it lies below that."""
    here = Path.cwd()
    return path.relative_to(here).as_posix() if path.is_relative_to(here) else str(path)
