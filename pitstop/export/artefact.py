"""Makes an artefact from a network, reads it back from disk, and lets it answer fresh inputs beside its source."""

from collections.abc import Callable, Mapping
from pathlib import Path

import torch
from pydantic import ValidationError
from torch import nn

from configs.schema import SourceConfig
from models.compile.refused import sentences
from models.compile.torchscript import faithful, loaded_script
from models.errors import ModelError
from models.runtime.dims import dims_in
from models.runtime.seeding import CHECK_SEED
from models.signature import Signature, as_tensors
from models.sources import source
from models.sources.hooks import Hooks, make_hooks
from models.startup.examples import load
from models.startup.input_binding import bind
from models.startup.prepare import freeze_in_eval
from models.startup.sample_inputs import SampleInputs

from . import checkpoint, program
from .fresh import TOLERANCE, compared, reading_in, shown, steady
from .job import Job, Made
from .outputs import given_to_hook, outputs_of


def make(job: Job, subject: nn.Module | Mapping[str, object]) -> Made:
    """Write `job.dest` and return how it was made and how near it is; a ModelError where it is not faithful."""
    if not isinstance(subject, nn.Module):
        return _weights_alone(job, subject)
    module = freeze_in_eval(subject)
    if not job.inputs:
        return _unrun(job, module)
    hooks = make_hooks(job.preprocess, job.postprocess, job.handler)
    bound, samples = bind(module, draw_of(job, hooks))
    # With a postprocess, the config's outputs are those of the hook.
    hooked = hooks.postprocess is not None
    outputs = given_to_hook(bound.module, samples) if hooked else job.outputs or outputs_of(bound.module, samples)
    reading = reading_in(bound.module, samples, outputs)
    reads = reading.wrapped(bound.module, samples.model_inputs)
    seed = CHECK_SEED if job.random else None
    steady(reads, samples, outputs, seed)
    # Weights keep the names that the network itself gives them, and TorchScript is written as it was read.
    as_it_was = job.to == "safetensors" or (job.to == "torchscript" and loaded_script(bound.module) is not None)
    if hooked and not (as_it_was or reading.plain):
        raise ModelError(
            f"{job.to}: postprocess reads what forward returns by its names, and the file would not keep them\n"
            "help: let forward return a dict of tensors, or a tuple of tensors alone; or use --to safetensors"
        )
    written = module if job.to == "safetensors" else bound.module if as_it_was else reads
    own = outputs if as_it_was else tuple(each.model_copy(update={"path": None}) for each in outputs)
    made = _WRITERS[job.to](job, written, samples, Made(how="", outputs=own))
    if job.to == "safetensors" and made.factory is None:
        return made
    artefact, _ = bind(freeze_in_eval(source.load(_reload(job, made))), samples)
    answers = reading.wrapped(artefact.module, samples.model_inputs) if as_it_was else artefact.module
    cases = compared(reads, answers, samples, outputs, seed)
    served = job.outputs if hooked else made.outputs
    return made.model_copy(update={"cases": cases, "tolerance": TOLERANCE.relative, "outputs": served})


def draw_of(job: Job, hooks: Hooks) -> SampleInputs:
    signature, dims = Signature(as_tensors(job.inputs, job.open_dims), ()), job.open_dims
    declared = None if job.model_inputs is None else as_tensors(job.model_inputs, dims)
    given = load(job.example, signature, job.decode)
    return SampleInputs(signature, hooks.preprocess, dims_in(dims), given, declared)


def _weights_alone(job: Job, tensors: Mapping[str, object]) -> Made:
    if job.to != "safetensors":
        raise ModelError(
            f"{job.file}: holds weights without a network, and {job.to} holds a network\n"
            "help: name it with --factory path/to/file.py:callable"
        )
    return Made(how="weights", tensors=checkpoint.write(tensors, Path(job.dest)))


def _unrun(job: Job, module: nn.Module) -> Made:
    if job.to != "safetensors":
        raise ModelError(
            f"{job.to}: the network has to run once, on inputs that it can take\n"
            "help: give each with --input NAME:DATATYPE:SHAPE, such as --input image:UINT8:-1,1,8,8"
        )
    made = _safetensors(job, module, None, Made(how="", note="not run: without --input only the weights are compared"))
    if job.source is not None:
        source.load(_reload(job, made))
    return made


def _safetensors(job: Job, module: nn.Module, _: SampleInputs | None, made: Made) -> Made:
    count = checkpoint.write(module.state_dict(), Path(job.dest))
    made = made.model_copy(update={"how": "weights", "tensors": count})
    if job.source is not None:
        if job.source.factory is None:
            raise ModelError("safetensors: the model has no factory to take the weights back\nhelp: use another --to")
        return made.model_copy(update={"factory": job.source.factory})
    own = _own_class(module)
    try:
        found = made.model_copy(update={"factory": own})
        source.load(_reload(job, found))
        return found
    except (ModelError, ValidationError):
        note = f"{own}() does not take these weights as it is: name what builds the network with --factory and --arg"
        return made.model_copy(update={"note": note})


def _own_class(module: nn.Module) -> str:
    return f"{type(module).__module__}:{type(module).__qualname__}"


def _torchscript(job: Job, module: nn.Module, samples: SampleInputs, made: Made) -> Made:
    if isinstance(module, torch.jit.ScriptModule):
        script, how, note = module, "script", "it was TorchScript already"
    else:
        # Not the backend's build: that freezes, and a frozen file's constants stay on the CPU wherever it is loaded.
        network = shown(module, samples, made.outputs)
        found = faithful(network, job.torchscript, TOLERANCE, CHECK_SEED if job.random else None)
        how, note = found.how, sentences(found.refused)
        if not isinstance(found.forward, torch.jit.ScriptModule):
            help_ = "rewrite what is named so that torch.jit.script takes it, or use --to pt2 or safetensors"
            raise ModelError(f"torchscript: no faithful TorchScript can be made: {note}\nhelp: {help_}")
        script = found.forward
    if how == "trace":
        note = f"{note}; a trace keeps the device of tensors that forward makes: try it on the GPU before you ship it"
    script.save(job.dest)
    return made.model_copy(update={"how": how, "note": note.removeprefix("; ")})


def _pt2(job: Job, module: nn.Module, samples: SampleInputs, made: Made) -> Made:
    program.write(shown(module, samples, made.outputs), Path(job.dest))
    return made.model_copy(update={"how": "torch.export"})


_WRITERS: dict[str, Callable[[Job, nn.Module, SampleInputs, Made], Made]] = {
    "safetensors": _safetensors,
    "torchscript": _torchscript,
    "pt2": _pt2,
}


def _reload(job: Job, made: Made) -> SourceConfig:
    if job.to == "safetensors":
        kwargs = job.source.kwargs if job.source is not None else {}
        return SourceConfig(factory=made.factory, kwargs=kwargs, weights=job.dest)
    return SourceConfig(torchscript=job.dest) if job.to == "torchscript" else SourceConfig(exported_program=job.dest)
