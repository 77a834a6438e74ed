"""The blocks of the README and of docs/measuring.md, and a copy of the project to run them in, such as a clone is."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

from tests.serving import PROJECT

README = (PROJECT / "README.md").read_text()
PAGES = {"README.md": README, "docs/measuring.md": (PROJECT / "docs" / "measuring.md").read_text()}
BLOCKS = [block for page in PAGES.values() for block in re.findall(r"```(\w*)\n(.*?)```", page, re.DOTALL)]
PITSTOP = ".venv/bin/pitstop"
# What makes a line short that a test runs as it stands.
SHORTER = {
    "load": ["--seconds", "1", "--warmup", "0.2"],
    # Where the machine starves, a target of 50 ms is only met at rates whose probes take half a minute each.
    "compare": ["--seconds", "0.3", "--slo-ms", "500"],
    "plan": ["--budget-s", "1"],
}


def blocks(kind: str) -> list[str]:
    return [text for found, text in BLOCKS if found == kind]


def commands() -> list[str]:
    return [line for text in blocks("bash") for line in text.splitlines() if line and not line.startswith("#")]


def said(*verbs: str) -> list[str]:
    """Return the pages' `pitstop` lines of these verbs."""
    return [line for line in commands() if line.startswith(PITSTOP) and line.split()[1] in verbs]


def copied(folder: Path) -> None:
    """Copy the project's files as they are now."""
    listed = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    for name in subprocess.run(listed, cwd=PROJECT, capture_output=True, text=True, check=True).stdout.splitlines():
        if (PROJECT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(PROJECT / name, folder / name)


def cloned(folder: Path) -> Path:
    """Copy the project, and add the README's model as the README says."""
    copied(folder)
    [network], [application] = blocks("python"), blocks("yaml")
    (folder / network.splitlines()[0].removeprefix("# ")).write_text(network)
    with (folder / "serve_config.yaml").open("a") as config:
        config.write("\n" + application)
    return folder


def run(line: str, clone: Path, *more: str, fine: tuple[int, ...] = (0,)) -> str:
    """Run a `pitstop` line in the clone and insist that it ends well; return what it prints."""
    command = [sys.executable, "-m", "pitstop", *line.split()[1:], *more]
    found = subprocess.run(command, cwd=clone, capture_output=True, text=True, check=False)
    assert found.returncode in fine, found.stdout + found.stderr
    return found.stdout
