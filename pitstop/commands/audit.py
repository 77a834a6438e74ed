"""The options of `pitstop audit`. What it does is imported when it is called, so that --help is quick."""

from pathlib import Path
from typing import Annotated

import typer


def audit(
    config: Annotated[Path, typer.Argument(metavar="CONFIG", help="A Serve config file.")] = Path("serve_config.yaml"),
    model: Annotated[str | None, typer.Option(help="Only this model of the file.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON and nothing else.")] = False,
    report: Annotated[Path | None, typer.Option(metavar="DIR", help="Write audit.html, audit.json and PNGs.")] = None,
    quick: Annotated[
        bool, typer.Option("--quick", help="Take a fifth of the time; compile nothing for minutes.")
    ] = False,
) -> None:
    """Measure what the five classic mistakes cost on your model, and find those that a config makes.

    Runs the model on this machine, without Ray: from train mode, one row at a time, to batches as configured.
    Exits with 0 if no mistake is made, 1 if one is or a start refuses the model, 2 if a file or model cannot be used.

    Example: [bold]pitstop audit serve_config.yaml --model digits --report audit/[/bold]
    """
    from ..audit.main import AuditOptions, audit

    raise typer.Exit(audit(AuditOptions(config, model, as_json, report, quick)))
