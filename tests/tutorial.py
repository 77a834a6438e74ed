"""The blocks of docs/tutorial.md, and a copy of the project in which its steps without a server are done."""

import itertools
import re
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from configs.document import application
from tests.readme import copied
from tests.serving import PROJECT

PAGE = (PROJECT / "docs" / "tutorial.md").read_text()
CONFIG = "mine/serve.yaml"


def section(number: int) -> list[tuple[str, str]]:
    """Return a step's blocks, each with its kind; one without a kind shows what the command before it prints."""
    text = re.split(r"^## ", PAGE, flags=re.MULTILINE)[number]
    return re.findall(r"^```(\w*)\n(.*?)^```", text, re.DOTALL | re.MULTILINE)


def block(number: int, kind: str) -> str:
    """Return the only block of this kind in a step."""
    [found] = [text for each, text in section(number) if each == kind]
    return found


def shown(number: int, *commands: str) -> Iterator[tuple[str, str]]:
    """Yield a step's blocks that begin with one of these commands, each with what the page shows that it prints."""
    blocks = section(number)
    for (kind, text), (next_kind, printed) in itertools.pairwise(blocks):
        if kind == "bash" and text.startswith(commands) and not next_kind:
            yield text, printed


def prints(expected: str, output: str) -> bool:
    """Whether an output has these lines, one after the other; … stands for anything within a line.

    Columns are as wide as their values, so several spaces stand for any number.
    """
    escaped = (re.escape(line).replace("…", ".*") for line in expected.splitlines())
    lines = [re.sub(r"(\\ ){2,}", "[ ]+", line) + r"[ ]*\n" for line in escaped]
    return re.search("^" + "".join(lines), output, re.MULTILINE) is not None


def edit(number: int) -> Any:
    """Return what a step's YAML block says."""
    return yaml.safe_load(textwrap.dedent(block(number, "yaml")))


def change(raw: dict[str, Any], number: int) -> None:
    """Change applications as a step's YAML block says: keys of `args` one by one, `deployments` as a whole."""
    for each in edit(number):
        app = application(raw, each["name"])
        app["args"] |= each.get("args", {})
        app["deployments"] = each.get("deployments", app["deployments"])


def written(folder: Path) -> Path:
    """Copy the project, and write the network as the page says."""
    copied(folder)
    network = block(1, "python")
    file = folder / network.splitlines()[0].removeprefix("# ")
    file.parent.mkdir()
    file.write_text(network)
    return folder


def done(clone: Path, number: int) -> str:
    """Run a step's lines that begin with `python`, `pitstop init` or `pitstop add`; return what they print."""
    lines = [line for kind, text in section(number) if kind == "bash" for line in text.splitlines()]
    return "".join(run(clone, line) for line in lines if line.startswith(("python ", "pitstop init", "pitstop add")))


def run(clone: Path, line: str, status: int = 0) -> str:
    """Run a line that begins with `python` or `pitstop` in the copy; return what it prints."""
    words = line.split()
    command = [sys.executable, *(["-m", "pitstop"] if words[0] == "pitstop" else []), *words[1:]]
    found = subprocess.run(command, cwd=clone, capture_output=True, text=True, check=False)
    assert found.returncode == status, found.stdout + found.stderr
    return found.stdout
