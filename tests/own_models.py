"""The blocks of docs/own-models.md, and a copy of the project in which its models have their weights."""

import re
import subprocess
import sys
from pathlib import Path

from tests.readme import copied
from tests.serving import PROJECT

PAGE = (PROJECT / "docs" / "own-models.md").read_text()
FOLDER = Path("examples") / "own"
MODELS = ("photos", "moods", "parts")


def blocks(kind: str) -> list[str]:
    """Return the page's blocks of a kind; "" is what the command before prints."""
    found = re.findall(r"^```(\w*)\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)
    return [text for each, text in found if each == kind]


def trained(folder: Path) -> Path:
    """Copy the project and write each model's weights, as the page says."""
    copied(folder)
    for name in MODELS:
        subprocess.run([sys.executable, str(FOLDER / f"{name}.py")], cwd=folder, check=True)
    return folder
