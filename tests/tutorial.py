"""The blocks of docs/tutorial.md, and a copy of the project in which its first two steps are done."""

import itertools
import re
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from tests.readme import copied
from tests.serving import PROJECT

PAGE = (PROJECT / "docs" / "tutorial.md").read_text()


def section(number: int) -> list[tuple[str, str]]:
    """Return a step's blocks, each with its kind; one without a kind shows what the command before it prints."""
    text = re.split(r"^## ", PAGE, flags=re.MULTILINE)[number]
    return re.findall(r"^```(\w*)\n(.*?)^```", text, re.DOTALL | re.MULTILINE)


def block(number: int, kind: str) -> str:
    """Return the only block of this kind in a step."""
    [found] = [text for each, text in section(number) if each == kind]
    return found


def shown(number: int, command: str) -> Iterator[tuple[str, str]]:
    """Yield a step's blocks that begin with this command, each with what the page shows that it prints."""
    blocks = section(number)
    for (kind, text), (next_kind, printed) in itertools.pairwise(blocks):
        if kind == "bash" and text.startswith(command) and not next_kind:
            yield text, printed


def prints(expected: str, output: str) -> bool:
    """Whether an output has these lines, one after the other; … stands for anything within a line."""
    lines = [re.escape(line).replace("…", ".*") + r"[ ]*\n" for line in expected.splitlines()]
    return re.search("^" + "".join(lines), output, re.MULTILINE) is not None


def edit(number: int) -> Any:
    """Return what a step's YAML block says."""
    return yaml.safe_load(textwrap.dedent(block(number, "yaml")))


def written(folder: Path) -> Path:
    """Copy the project, and write the network, the weights of both versions and the application as the page says."""
    copied(folder)
    network = block(1, "python")
    (folder / network.splitlines()[0].removeprefix("# ")).write_text(network)
    for number in (1, 9):
        for kind, text in section(number):
            if kind == "bash" and text.startswith("python -c"):
                command = text.replace("python", sys.executable, 1)
                subprocess.run(["bash", "-c", command], cwd=folder, check=True)
    with (folder / "serve_config.yaml").open("a") as config:
        config.write("\n" + block(2, "yaml"))
    return folder
