"""What the tests of `pitstop export` share: the command, run in-process, and a network that is quick to export."""

import json
from pathlib import Path
from typing import Any

from typer.testing import CliRunner

from pitstop.cli import app

LINEAR = ("--factory", "tests.models.networks:Linear", "--input", "x:FP32:-1,4")


def export(*arguments: object) -> tuple[int, str]:
    """Return exit status and output of `pitstop export`."""
    result = CliRunner().invoke(app, ["export", *(str(argument) for argument in arguments)])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.exit_code, result.output


def manifest_of(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(path.with_name(f"{path.name}.manifest.json").read_text())
    return found
