"""The options of `pitstop export`. What it does is imported when it is called, so that --help is quick."""

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer


def export(
    dest: Annotated[Path, typer.Option("--dest", "-o", metavar="DEST", help="File to write; with --mar, a folder.")],
    source: Annotated[str | None, typer.Argument(metavar="SOURCE", help="A checkpoint, or a trusted pickle.")] = None,
    to: Annotated[
        str | None, typer.Option(help="safetensors, torchscript or pt2; by default from DEST's suffix.")
    ] = None,
    config: Annotated[Path | None, typer.Option(help="Export what this Serve config file serves.")] = None,
    model: Annotated[str | None, typer.Option(help="Model of --config; with --mar, the new name.")] = None,
    factory: Annotated[
        str | None,
        typer.Option(metavar="FILE.py:CALLABLE", help="Callable that builds the network; or MODULE:CALLABLE."),
    ] = None,
    kwarg: Annotated[list[str] | None, typer.Option(metavar="NAME=VALUE", help="An argument of the factory.")] = None,
    input_: Annotated[list[str] | None, typer.Option("--input", metavar="NAME:DATATYPE:SHAPE[:LOW..HIGH]")] = None,
    output: Annotated[
        list[str] | None, typer.Option(metavar="NAME:DATATYPE:SHAPE", help="By default found by running the network.")
    ] = None,
    lengths: Annotated[str | None, typer.Option(metavar="16,32,…", help="Sizes of an input's open dimension.")] = None,
    trust_pickle: Annotated[
        bool, typer.Option("--trust-pickle", help="Run the pickle's code, in a subprocess.")
    ] = False,
    mar: Annotated[Path | None, typer.Option(help="A TorchServe archive: .mar, or its folder.")] = None,
    ts_config: Annotated[Path | None, typer.Option(help="With --mar: TorchServe's config.properties.")] = None,
    yaml: Annotated[Path | None, typer.Option(metavar="FILE", help="Also write the YAML lines to this file.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Overwrite existing files.")] = False,
) -> None:
    """Turn a checkpoint, a trusted pickle or a TorchServe .mar into what a config can serve.

    The file is read back and must answer new inputs as its source does. Exits with 2 if it cannot be made.

    Example: [bold]pitstop export weights.pt -o digits.pt2 --factory models.zoo.digits:Digits
    --input image:UINT8:-1,1,8,8[/bold]

    Example: [bold]pitstop export --mar densenet161.mar -o imported/densenet161[/bold]
    """
    from ..export.main import ExportOptions, export

    kwargs, inputs, outputs = (tuple(each or ()) for each in (kwarg, input_, output))
    network = ExportOptions(dest, source, to, factory, kwargs, inputs, outputs, lengths, config, model)
    raise typer.Exit(
        export(replace(network, mar=mar, ts_config=ts_config, trust_pickle=trust_pickle, yaml=yaml, force=force))
    )
