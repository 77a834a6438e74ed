"""The options of `pitstop audit`. What it does is imported when it is called, so that --help is quick."""

from pathlib import Path
from typing import Annotated

import typer

from .. import options
from ..completion import CONFIG


def audit(
    config: options.Config = CONFIG,
    model: options.Model = None,
    json_: options.Json = None,
    report: Annotated[Path | None, options.report("audit.html, audit.json and PNGs")] = None,
    quick: options.Quick = False,
) -> None:
    """Measure what the five classic mistakes cost on your model, and find those that a config makes.

    Runs the model on this machine, without Ray: from train mode, one row at a time, to batches as configured.
    Exits with 0 if no mistake is made, 1 if one is or a start refuses the model, 2 if a file or model cannot be used.

    Example: [bold]pitstop audit serve_config.yaml --model digits --report audit/[/bold]
    """
    from ..audit.main import AuditOptions, audit

    raise typer.Exit(audit(AuditOptions(config, model, json_, report, quick)))
