"""Puts the project on the import path: `configs` and `models` are not installed, they lie beside this package."""

import sys
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[1]


def project_first() -> None:
    """Have ours come first, since a user's folder may have packages of these names too; then where the command runs."""
    here, ours = str(Path.cwd()), str(PROJECT)
    sys.path[:] = [ours, *([] if here in sys.path else [here]), *(each for each in sys.path if each != ours)]
