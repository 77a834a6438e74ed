"""From what the user asked for to one job: flags or a config's model say what the network is and what it takes."""

from pathlib import Path
from typing import get_args

from pydantic import ValidationError

from configs.loader import load
from configs.schema import ModelConfig, SourceConfig
from configs.suggest import advise
from models.errors import ModelError

from . import signature_flags
from .job import Job, Kind
from .wish import Wish

_SUFFIXES: dict[str, Kind] = {".safetensors": "safetensors", ".pt2": "pt2", ".pt": "torchscript", ".ts": "torchscript"}
_ENDINGS = {"safetensors": (".safetensors",), "pt2": (".pt2",), "torchscript": (".pt", ".pth", ".ts")}


def job_of(wish: Wish, dest: Path) -> Job:
    """Return the job that writes `dest`, or a ModelError (ConfigError) that says which flag is missing or wrong."""
    to = kind_of(wish)
    if wish.config is not None:
        return _from_config(wish, to, dest)
    if wish.source is None and wish.factory is None:
        raise ModelError(
            "nothing to export: no SOURCE is given\n"
            "help: name a checkpoint, --config with --model, --factory package.module:callable, or --mar"
        )
    return Job(
        to=to,
        dest=str(dest),
        file=wish.source,
        source=_source(wish),
        trusted=wish.trust_pickle and wish.source is not None,
        inputs=signature_flags.tensors("--input", wish.inputs),
        outputs=signature_flags.tensors("--output", wish.outputs),
        lengths=_lengths(wish),
    )


def kind_of(wish: Wish) -> Kind:
    """Return the kind asked for with --to, or the one that the ending of DEST stands for."""
    suffix = wish.dest.suffix
    if wish.to is None:
        if suffix not in _SUFFIXES:
            raise ModelError(f"{wish.dest}: does not say what to make\nhelp: add --to {'|'.join(get_args(Kind))}")
        return _SUFFIXES[suffix]
    kinds: tuple[Kind, ...] = get_args(Kind)
    found = next((kind for kind in kinds if kind == wish.to), None)
    if found is None:
        raise ModelError(f"--to {wish.to}: is no kind of artefact\nhelp: {advise(wish.to, kinds)}")
    if suffix not in _ENDINGS[found]:
        ending = _ENDINGS[found][0]
        raise ModelError(
            f"{wish.dest}: {found} files end with {ending}\nhelp: -o {wish.dest.with_suffix(ending)}; torch and "
            "safetensors readers go by the ending"
        )
    return found


def _source(wish: Wish) -> SourceConfig | None:
    if wish.factory is None:
        if wish.kwargs:
            raise ModelError("--kwarg: there is no factory to hand it to\nhelp: add --factory package.module:callable")
        return None
    weights = None if wish.trust_pickle else wish.source
    try:
        return SourceConfig(factory=wish.factory, kwargs=signature_flags.kwargs(wish.kwargs), weights=weights)
    except ValidationError as error:
        raise ModelError(
            f"--factory {wish.factory}: is not package.module:callable\nhelp: such as models.zoo.digits:Digits"
        ) from error


def _lengths(wish: Wish) -> tuple[int, ...]:
    found = signature_flags.lengths(wish.lengths)
    tensors = signature_flags.tensors("--input", wish.inputs)
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


def _from_config(wish: Wish, to: Kind, dest: Path) -> Job:
    given = {
        "SOURCE": wish.source,
        "--factory": wish.factory,
        "--input": wish.inputs,
        "--output": wish.outputs,
        "--lengths": wish.lengths,
        "--kwarg": wish.kwargs,
        "--trust-pickle": wish.trust_pickle,
    }
    surplus = [flag for flag, value in given.items() if value]
    if surplus:
        raise ModelError(f"{surplus[0]}: the config says that already\nhelp: give either --config or {surplus[0]}")
    config = _model(wish)
    return Job(
        to=to,
        dest=str(dest),
        file=config.source.weights or config.source.torchscript or config.source.exported_program,
        source=config.source,
        inputs=config.inputs,
        outputs=config.outputs,
        lengths=config.lengths or (),
        preprocess=config.preprocess,
        torchscript=config.torchscript,
    )


def _model(wish: Wish) -> ModelConfig:
    assert wish.config is not None
    found = {app.config.name: app.config for app in load(wish.config).models}
    if not found:
        raise ModelError(f"{wish.config}: serves no model\nhelp: name a file like serve_config.yaml")
    if wish.model is None and len(found) > 1:
        raise ModelError(f"{wish.config}: serves {', '.join(found)}\nhelp: say which with --model")
    name = wish.model or next(iter(found))
    if name not in found:
        raise ModelError(f"{wish.config}: has no model {name!r}\nhelp: {advise(name, found)}")
    return found[name]
