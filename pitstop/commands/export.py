"""The options of `pitstop export`. What it does is imported when it is called, so that --help is quick."""

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from .. import options
from ..completion import config_files


def export(
    out: Annotated[Path, options.out("DEST", "a file; with --mar, a folder")],
    source: Annotated[str | None, typer.Argument(metavar="SOURCE", help="A checkpoint, or a trusted pickle.")] = None,
    to: Annotated[
        str | None, typer.Option(help="safetensors, torchscript or pt2; by default from DEST's suffix.")
    ] = None,
    config: Annotated[
        Path | None,
        typer.Option(help="Export what this Serve config file serves.", autocompletion=config_files),
    ] = None,
    model: options.Model = None,
    factory: Annotated[
        str | None,
        typer.Option(metavar="FILE.py:CALLABLE", help="Callable that builds the network; or MODULE:CALLABLE."),
    ] = None,
    arg: Annotated[list[str] | None, options.ARG] = None,
    input_: Annotated[
        list[str] | None, options.input_("NAME:DATATYPE:SHAPE[:LOW..HIGH]", "where its code does not say it")
    ] = None,
    output: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME:DATATYPE:SHAPE", help="An output; by default found by running the network."),
    ] = None,
    lengths: Annotated[str | None, typer.Option(metavar="16,32,…", help="Sizes of an input's open dimension.")] = None,
    trust_pickle: Annotated[
        bool, typer.Option("--trust-pickle", help="Run the pickle's code, in a subprocess.")
    ] = False,
    mar: Annotated[Path | None, typer.Option(help="A TorchServe archive: .mar, or its folder.")] = None,
    ts_config: Annotated[Path | None, typer.Option(help="With --mar: TorchServe's config.properties.")] = None,
    yaml: Annotated[Path | None, typer.Option(metavar="FILE", help="Also write the YAML lines to this file.")] = None,
    name: Annotated[str | None, options.name("with --mar, the model's")] = None,
    force: options.Force = False,
) -> None:
    """Turn a checkpoint, a trusted pickle or a TorchServe .mar into what a config can serve.

    The file is read back and must answer new inputs as its source does. Exits with 2 if it cannot be made.

    Example: [bold]pitstop export weights.pt -o digits.pt2 --factory models.zoo.digits:Digits
    --input image:UINT8:-1,1,8,8[/bold]

    Example: [bold]pitstop export --mar densenet161.mar -o imported/densenet161[/bold]
    """
    from ..export.main import ExportOptions, export

    kwargs, inputs, outputs = (tuple(each or ()) for each in (arg, input_, output))
    network = ExportOptions(out, source, to, factory, kwargs, inputs, outputs, lengths, config, model)
    archive = replace(network, mar=mar, ts_config=ts_config, name=name)
    raise typer.Exit(export(replace(archive, trust_pickle=trust_pickle, yaml=yaml, force=force)))
