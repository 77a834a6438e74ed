"""Finds out what a source takes and gives, by running it: the work of a child process, since it is the user's code."""

import dataclasses
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn

from configs.parse import parse_model
from configs.schema import ModelConfig, SourceConfig
from configs.tensors import OutputConfig
from models.errors import ModelError
from models.signature import listed
from models.sources import source
from models.startup.complete import completed
from models.startup.prepare import freeze_in_eval

from ..check.open_model import told
from ..child_process import Report
from ..export import signature_flags
from . import archive, drawn, examples, pictures, texts
from .arguments import arguments_of, lists, with_lists
from .draft import Draft, Kind
from .guess import Guess
from .infer import infer, needed
from .options import InitOptions
from .run import row_sizes, run
from .settle import Found
from .subject import Subject, subject_of

_DIM = "tokens"


def find(order: tuple[InitOptions, str, str], report: Report) -> None:
    """Report (True, Draft), or (False, what is wrong).

    The order has a folder for what is generated, and the folder where that will be in the end.
    """
    options, folder, final = order
    try:
        report((True, _draft(options, Path(folder), Path(final))))
    except BaseException as error:  # A factory may raise anything, SystemExit too.
        said = signature_flags.said(error) if isinstance(error, ModelError) else told(error)
        report((False, with_lists(said, options.arguments)))


def _draft(options: InitOptions, folder: Path, final: Path) -> Draft:
    subject, said = subject_of(options), list[str]()
    if subject.archive is not None:
        return archive.draft(subject.name, subject.archive, options, folder, final)
    if "pretrained" in subject.source:
        return _pretrained(subject)
    if "factory" in subject.source:
        subject = _with_arguments(subject, options, said)
    elif options.arguments:
        raise ModelError(f"--arg: {options.source} is no class\nhelp: leave it out")
    module = freeze_in_eval(source.load(SourceConfig.model_validate(subject.source)))
    if "factory" not in subject.source or options.weights is not None:
        return _of_network(subject, module, options, folder, said)
    file = f"{subject.name}.safetensors"
    found, why = drawn.kept(subject.source, module, folder / file)
    if why:
        said.append(f"its weights are drawn anew at each start, and the test compares nothing: give --weights ({why})")
    elif "weights" in found:
        said.append(f"without --weights it has those that its class drew: they are kept in {final / file}")
    draft = _of_network(dataclasses.replace(subject, source=found), module, options, folder, said)
    return dataclasses.replace(draft, redrawn=bool(why))


def _of_network(subject: Subject, module: nn.Module, options: InitOptions, folder: Path, said: list[str]) -> Draft:
    args: dict[str, Any] = {"name": subject.name, "source": subject.source}
    if options.tokenizer is not None:
        return finished(texts.variants(options.tokenizer, options.example, folder, args, module), module, "text", said)
    names = needed(module) or []
    args |= examples.named(options.example, names, folder)
    if "exported_program" in subject.source and not args.get("example") and not options.inputs:
        return finished(_of_program(args), module, "tensors", said)
    found = _inputs(options, args, names, module)
    said += found.said
    more, kind = pictures.prepared(found, args, options, folder, said)
    return finished([{**args, **more, **each} for each in signatures(found)], module, kind, said)


def _pretrained(subject: Subject) -> Draft:
    args = {"name": subject.name, "source": subject.source}
    config = completed(_parsed(args))
    [only] = config.inputs
    kinds: dict[str, Kind] = {"image": "picture", "audio": "sound"}
    return Draft(subject.name, (args,), kinds.get(only.name, "text"), listed(config.outputs))


def _with_arguments(subject: Subject, options: InitOptions, said: list[str]) -> Subject:
    given = signature_flags.kwargs(options.arguments)
    said += lists(given)
    arguments = arguments_of(subject.source["factory"], options.weights, given)
    if arguments.found:
        numbers = ", ".join(f"{name}={value}" for name, value in arguments.found.items())
        said.append(f"from the weights: {numbers}")
    kwargs = {"kwargs": arguments.kwargs} if arguments.kwargs else {}
    ordered = {"factory": subject.source["factory"], **kwargs}
    return dataclasses.replace(subject, source={**ordered, **subject.source})


def _inputs(options: InitOptions, args: dict[str, Any], names: Sequence[str], module: nn.Module) -> Found:
    if options.inputs:
        return as_said(options.inputs, names, module)
    if "example" not in args:
        return infer(module)
    if pictures.is_picture(options.example):
        return pictures.found(module, options.example[0], names)
    return infer(module, examples.guesses(_parsed(args), names))


def _refuse_missing(given: Sequence[str], names: Sequence[str]) -> None:
    """Raise ModelError where --input names some of forward's parameters and not all."""
    missing = [each for each in names if each not in given]
    if missing and (set(given) & set(names) or len(given) < len(names)):
        flags = " ".join(f"--input {name}:FP32:-1,3,224,224" for name in missing)
        raise ModelError(
            f"--input names {', '.join(given)}, and forward takes {', '.join(names)}\n"
            f"help: --input must name all of them; add {flags}, with the datatype and the shape that yours has"
        )


def as_said(flags: Sequence[str], names: Sequence[str], module: nn.Module) -> Found:
    """Return the inputs as --input gives them; raise ModelError where some of forward's `names` are missing."""
    tensors = signature_flags.tensors("--input", flags)
    _refuse_missing([each.name for each in tensors], names)
    guesses = []
    for each in tensors:
        known = {axis for axis, size in enumerate(each.sizes[1:]) if size != -1}
        sizes = [16 if size == -1 else size for size in each.sizes[1:]]
        highest = None if each.high is None else int(float(each.high))
        guesses.append(Guess(each.name, sizes, examples.DTYPES[each.datatype], known, highest, limit=highest))
    return infer(module, guesses)


def signatures(found: Found) -> Iterator[dict[str, Any]]:
    """Yield what may be written of these inputs: rows padded to a few sizes, never padded, or of one size."""
    if found.open_axes:
        name = _DIM if any(guess.highest is not None for guess, _ in found.open_axes) else "steps"
        pads = {guess.name: guess.padding for guess, _ in found.open_axes if guess.padding}
        sizes = list(found.open_sizes)
        for pad in ({"pad": pads} if pads else {}, {"pad": "none"}):
            inputs = _listed_inputs(found, name, padded=pad != {"pad": "none"})
            yield {"inputs": inputs, "dims": {name: {"sizes": sizes, **pad}}}
    yield {"inputs": _listed_inputs(found, None)}


def _listed_inputs(found: Found, dim: str | None, padded: bool = False) -> list[dict[str, Any]]:
    opened = {(guess.name, axis) for guess, axis in found.open_axes}
    lines = []
    for each in found.guesses:
        sizes = [dim if dim and (each.name, axis) in opened else size for axis, size in enumerate(each.sizes)]
        line: dict[str, Any] = {"name": each.name, "datatype": each.datatype, "shape": [-1, *sizes]}
        if each.limit is not None and each.dtype != torch.uint8:
            # The padding of the server may be sent too; where a client pads by itself, 0 is an id like others.
            line |= {"low": 1} if each.padding == 0 and padded and sizes != each.sizes else {}
            line["high"] = each.limit
        elif each.like is not None and not each.sizes and dim:
            line |= {"low": 1, "high": dim}
        lines.append(line)
    return lines


def _of_program(args: dict[str, Any]) -> list[dict[str, Any]]:
    """Return args whose open sizes, if the program has one, have a name."""
    return [args, *({**args, "dims": {_DIM: {"sizes": sizes}}} for sizes in ([16, 32, 64, 128], [16, 32], [8, 16]))]


def finished(variants: Sequence[dict[str, Any]], module: nn.Module, kind: Kind, said: Sequence[str]) -> Draft:
    """Run each variant as a start does; return those that run, with their outputs."""
    failure, ran, configs = None, list[dict[str, Any]](), list[ModelConfig]()
    for args in variants:
        try:
            config = run(_parsed(args), module)
        except ModelError as error:
            failure = failure or error
            continue
        configs.append(config)
        # Counts are left out: the start finds them by row, whatever the network returns.
        counted = any(each.name not in config.open_dims for output in config.outputs for each in output.named)
        ran.append(args if counted else {**args, "outputs": _lines(config.outputs)})
    if not ran:
        assert failure is not None
        raise failure
    return Draft(
        variants[0]["name"], tuple(ran), kind, listed(configs[0].outputs), tuple(said), {}, row_sizes(configs[0])
    )


def _lines(outputs: Sequence[OutputConfig]) -> list[dict[str, Any]]:
    return [each.model_dump(mode="json", exclude_none=True, exclude_defaults=True) for each in outputs]


def _parsed(args: dict[str, Any]) -> ModelConfig:
    return parse_model(args, "init")
