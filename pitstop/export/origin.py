"""From what the user asked for to one job: flags or a config's model say what the network is and what it takes."""

from pathlib import Path
from typing import get_args

from pydantic import ValidationError

from configs.loader import load
from configs.schema import ModelConfig, SourceConfig
from configs.suggest import advise
from models.errors import ModelError
from models.startup.complete import completed

from . import signature_flags
from .job import Job, Kind
from .options import ExportOptions

_SUFFIXES: dict[str, Kind] = {".safetensors": "safetensors", ".pt2": "pt2", ".pt": "torchscript", ".ts": "torchscript"}
_ENDINGS = {"safetensors": (".safetensors",), "pt2": (".pt2",), "torchscript": (".pt", ".pth", ".ts")}


def job_of(options: ExportOptions, dest: Path) -> Job:
    """Return the job that writes `dest`, or a ModelError (ConfigError) that says which flag is missing or wrong."""
    to = kind_of(options)
    if options.config is not None:
        return _from_config(options, to, dest)
    if options.source is None and options.factory is None:
        raise ModelError(
            "nothing to export: no SOURCE is given\n"
            "help: name a checkpoint, --config with --model, --factory path/to/file.py:callable, or --mar"
        )
    return Job(
        to=to,
        dest=str(dest),
        file=options.source,
        source=_source(options),
        trusted=options.trust_pickle and options.source is not None,
        inputs=signature_flags.tensors("--input", options.inputs),
        outputs=signature_flags.outputs(options.outputs),
        lengths=_lengths(options),
    )


def kind_of(options: ExportOptions) -> Kind:
    """Return the kind asked for with --to, or the one that the ending of DEST stands for."""
    suffix = options.dest.suffix
    if options.to is None:
        if suffix not in _SUFFIXES:
            raise ModelError(f"{options.dest}: does not say what to make\nhelp: add --to {'|'.join(get_args(Kind))}")
        return _SUFFIXES[suffix]
    kinds: tuple[Kind, ...] = get_args(Kind)
    found = next((kind for kind in kinds if kind == options.to), None)
    if found is None:
        raise ModelError(f"--to {options.to}: is no kind of artefact\nhelp: {advise(options.to, kinds)}")
    if suffix not in _ENDINGS[found]:
        ending = _ENDINGS[found][0]
        raise ModelError(
            f"{options.dest}: {found} files end with {ending}\nhelp: -o {options.dest.with_suffix(ending)}; torch and "
            "safetensors readers go by the ending"
        )
    return found


def _source(options: ExportOptions) -> SourceConfig | None:
    if options.factory is None:
        if options.kwargs:
            raise ModelError("--arg: there is no factory to hand it to\nhelp: add --factory path/to/file.py:callable")
        return None
    weights = None if options.trust_pickle else options.source
    try:
        return SourceConfig(factory=options.factory, kwargs=signature_flags.kwargs(options.kwargs), weights=weights)
    except ValidationError as error:
        raise ModelError(
            f"--factory {options.factory}: is not package.module:callable or path/to/file.py:callable\n"
            "help: such as models.zoo.digits:Digits, or mine/net.py:Net"
        ) from error


def _lengths(options: ExportOptions) -> tuple[int, ...]:
    found = signature_flags.lengths(options.lengths)
    tensors = signature_flags.tensors("--input", options.inputs)
    many = next((each for each in tensors if each.shape[2:].count(-1)), None)
    if many is not None:
        raise ModelError(
            f"--input {many.name}: only the size right after the rows may be open\nhelp: fix the others: -1,-1,…"
        )
    if any(each.datatype == "BYTES" for each in tensors):
        raise ModelError(
            "--input: BYTES need a preprocess, which flags cannot name\nhelp: put it into a config: --config"
        )
    if any(-1 in each.shape[1:] for each in tensors) and not found:
        raise ModelError("--input: a size is open\nhelp: say which sizes will come, rising: --lengths 16,32,64")
    if found and not any(-1 in each.shape[1:] for each in tensors):
        raise ModelError(
            "--lengths: no input has an open size\nhelp: leave it out, or open one: --input ids:INT64:-1,-1"
        )
    return found


def _from_config(options: ExportOptions, to: Kind, dest: Path) -> Job:
    given = {
        "SOURCE": options.source,
        "--factory": options.factory,
        "--input": options.inputs,
        "--output": options.outputs,
        "--lengths": options.lengths,
        "--arg": options.kwargs,
        "--trust-pickle": options.trust_pickle,
    }
    surplus = [flag for flag, value in given.items() if value]
    if surplus:
        raise ModelError(f"{surplus[0]}: the config says that already\nhelp: give either --config or {surplus[0]}")
    config = _model(options)
    if config.source.pretrained is not None:
        raise ModelError(
            f"{config.name}: source.pretrained is not exported: its tokenizer and its labels would be left behind\n"
            "help: serve the directory as it is, or name a factory that calls from_pretrained"
        )
    config = completed(config)
    return Job(
        to=to,
        dest=str(dest),
        file=config.source.weights or config.source.torchscript or config.source.exported_program,
        source=config.source,
        inputs=config.inputs,
        outputs=config.outputs,
        lengths=config.lengths or (),
        dims=config.dims,
        model_inputs=config.model_inputs,
        preprocess=config.preprocess,
        postprocess=config.postprocess,
        handler=config.handler,
        example=config.example,
        decode=config.predict.decode,
        batch=config.batch,
        random=config.random,
        torchscript=config.torchscript,
    )


def _model(options: ExportOptions) -> ModelConfig:
    assert options.config is not None
    found = {app.config.name: app.config for app in load(options.config).models}
    if not found:
        raise ModelError(f"{options.config}: serves no model\nhelp: name a file like serve_config.yaml")
    if options.model is None and len(found) > 1:
        raise ModelError(f"{options.config}: serves {', '.join(found)}\nhelp: say which with --model")
    name = options.model or next(iter(found))
    if name not in found:
        raise ModelError(f"{options.config}: has no model {name!r}\nhelp: {advise(name, found)}")
    return found[name]
