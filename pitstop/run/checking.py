"""The check of a config ahead of a start, and ahead of each change to one: that of `pitstop check`, in few lines."""

from pathlib import Path

from rich.console import Console

from configs.loader import Deployment, load

from ..check.main import CLEAN, CheckOptions, check_files


def checked(config: Path, console: Console) -> tuple[int, Deployment | None]:
    """Show what is wrong with a file; return the status of `pitstop check`, and the file's content if it is good."""
    status = check_files([config], console, CheckOptions(brief=True))
    return status, load(config) if status == CLEAN else None
