"""The folder of the project, and the import path on which `configs` and `models` are found."""

import sys
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[1]


def find_packages() -> None:
    """Put the project and the working directory first on the import path.

    `configs` and `models` are not installed: they lie beside this package, a user's network where `serve run` starts.
    Ours come first, since a user's folder may have packages of these names too.
    """
    here, ours = str(Path.cwd()), str(PROJECT)
    sys.path[:] = [ours, *([] if here in sys.path else [here]), *(each for each in sys.path if each != ours)]
