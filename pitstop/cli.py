"""The `pitstop` command. Each command lives in its own file and is imported when called, so that --help is quick."""

import sys
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from .comparing.command import compare
from .loading.command import load
from .manifests.command import kubernetes
from .planning.command import plan
from .tuning.command import tune

PROJECT = Path(__file__).resolve().parents[1]

app = typer.Typer(no_args_is_help=True, add_completion=False, rich_markup_mode="rich")
app.command()(load)
app.command()(compare)
app.command()(plan)
app.command()(tune)
app.command()(kubernetes)


def main() -> None:
    """Entry point of the console script."""
    app()


@app.callback()
def pitstop() -> None:
    """PyTorch models on Ray Serve, from one YAML."""
    # `configs` and `models` are not installed: they lie beside this package, a user's network where `serve run` starts.
    for folder in (str(Path.cwd()), str(PROJECT)):
        if folder not in sys.path:
            sys.path.insert(0, folder)


@app.command()
def check(
    configs: Annotated[list[Path] | None, typer.Argument(metavar="CONFIG...", show_default="serve_config.yaml")] = None,
    ports: Annotated[bool, typer.Option("--ports", help="Also check that its ports are free on this machine.")] = False,
    load_: Annotated[bool, typer.Option("--load", help="Also open each model as a start does, without Ray.")] = False,
    model: Annotated[str | None, typer.Option(help="With --load: only this model.")] = None,
    timeout: Annotated[float, typer.Option(min=1, help="With --load: most seconds for one model.")] = 600,
) -> None:
    """Check Serve config files without starting anything.

    Finds misspelt keys, keys in the wrong place, wrong values, arguments that a factory does not take, and
    files and functions that do not exist.
    Exits with 0 if all is well, 1 if a file has errors, 2 if one cannot be read.

    Example: [bold]pitstop check serve_config.yaml configs/*.yaml[/bold]
    """
    from .check import Wish, check_files

    wish = Wish(ports, load_, model, timeout)
    raise typer.Exit(check_files(configs or [Path("serve_config.yaml")], wish=wish))


@app.command()
def audit(
    config: Annotated[Path, typer.Argument(metavar="CONFIG", help="A Serve config file.")] = Path("serve_config.yaml"),
    model: Annotated[str | None, typer.Option(help="Only this model of the file.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON and nothing else.")] = False,
    report: Annotated[Path | None, typer.Option(metavar="DIR", help="Write audit.html, audit.json and PNGs.")] = None,
    quick: Annotated[bool, typer.Option("--quick", help="Take a fifth of the time; leave out torch.compile.")] = False,
) -> None:
    """Measure what the five classic mistakes cost on your model, and find those that a config makes.

    Runs the model on this machine, without Ray: from train mode, one row at a time, to batches as configured.
    Exits with 0 if no mistake is made, 1 if one is, 2 if a file or model cannot be used.

    Example: [bold]pitstop audit serve_config.yaml --model digits --report audit/[/bold]
    """
    from .audit import Wish, audit

    raise typer.Exit(audit(Wish(config, model, as_json, report, quick)))


@app.command()
def export(
    dest: Annotated[Path, typer.Option("--dest", "-o", metavar="DEST", help="File to write; with --mar, a folder.")],
    source: Annotated[str | None, typer.Argument(metavar="SOURCE", help="A checkpoint, or a trusted pickle.")] = None,
    to: Annotated[
        str | None, typer.Option(help="safetensors, torchscript or pt2; by default from DEST's suffix.")
    ] = None,
    config: Annotated[Path | None, typer.Option(help="Export what this Serve config file serves.")] = None,
    model: Annotated[str | None, typer.Option(help="Model of --config; with --mar, the new name.")] = None,
    factory: Annotated[
        str | None, typer.Option(metavar="MODULE:CALLABLE", help="Callable that builds the network.")
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
    from .export import Wish, export

    kwargs, inputs, outputs = (tuple(each or ()) for each in (kwarg, input_, output))
    network = Wish(dest, source, to, factory, kwargs, inputs, outputs, lengths, config, model)
    raise typer.Exit(
        export(replace(network, mar=mar, ts_config=ts_config, trust_pickle=trust_pickle, yaml=yaml, force=force))
    )
