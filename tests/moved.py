"""The blocks and the tables of docs/moving.md and docs/from-*.md, and the configs that their commands make."""

import functools
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import torch
from safetensors.torch import load_file
from typer.testing import CliRunner

from pitstop.cli import app
from tests.pitstop.archives import archive
from tests.serving import PROJECT

FOLDER = PROJECT / "examples" / "moved"
OTHERS = ("fastapi", "litserve", "torchserve", "triton")
PAGES = {
    name: (PROJECT / "docs" / f"{name}.md").read_text() for name in ("moving", *(f"from-{each}" for each in OTHERS))
}


def blocks(page: str) -> list[tuple[str, str]]:
    """Return a page's blocks, each with its kind; without one it is a file or what a command prints."""
    found = re.findall(r"^( *)```(\w*)\n(.*?)^ *```", PAGES[page], re.DOTALL | re.MULTILINE)
    return [(kind, text) for _, kind, text in found]


def here(page: str) -> Iterator[str]:
    """Yield the cells of the column `pitstop` of a page's tables."""
    within = False
    for line in PAGES[page].splitlines():
        within = line.endswith("| pitstop |") or (within and line.startswith("|"))
        if within and not line.endswith(("| pitstop |", "|---|")):
            yield line.strip("| ").split(" | ")[-1]


def command(page: str, start: str) -> list[str]:
    """Return the first command of a page that begins so, without its own name."""
    text = "\n".join(text for kind, text in blocks(page) if kind == "bash").replace("\\\n", "")
    return shlex.split(next(line for line in text.splitlines() if line.startswith(start)))[1:]


def moved(name: str) -> Path:
    """Make the config of a page as it says, in the working directory, and return its path."""
    page = f"from-{name}"
    [written] = [
        text for kind, text in blocks(page) if kind == "yaml" and text.startswith(("      outputs:", "      predict:"))
    ]
    if name == "torchserve":
        _archive(command(page, "torch-model-archiver"))
        _pitstop(command(page, "pitstop export --mar"))
        config = Path("imported/digits/digits.yaml")
        [hooks] = [text for _, text in blocks(page) if text.startswith("# imported/digits/hooks.py\n")]
        (config.parent / "hooks.py").write_text(hooks)
        config.write_text(
            re.sub(r"^ *max_batch_size: .*\n", rf"\g<0>{written}", config.read_text(), flags=re.MULTILINE)
        )
        return config
    drafted = _drafted(tuple(command(page, "pitstop init models/zoo/digits.py")))
    config = Path("moved/serve.yaml")
    config.parent.mkdir(exist_ok=True)
    config.write_text(drafted.partition("      outputs:\n")[0] + written)
    return config


@functools.cache
def _drafted(arguments: tuple[str, ...]) -> str:
    """Return the config that `pitstop init` writes; pages with the same command share it."""
    _pitstop(list(arguments))
    return Path("moved/serve.yaml").read_text()


def _pitstop(arguments: list[str]) -> None:
    found = CliRunner().invoke(app, arguments)
    assert found.exit_code == 0, found.output


def _archive(arguments: list[str]) -> None:
    """Write what torch-model-archiver would write for these arguments."""
    given = dict(zip(arguments[::2], arguments[1::2], strict=True))
    torch.save(load_file(PROJECT / "models" / "zoo" / "digits.safetensors"), given["--serialized-file"])
    named = {"modelFile": "--model-file", "serializedFile": "--serialized-file", "handler": "--handler"}
    model = {key: Path(given[option]).name for key, option in (named | {"configFile": "--config-file"}).items()}
    options = ("--extra-files", "--config-file", *named.values())
    paths = [path if path.exists() else PROJECT / path for path in (Path(given[each]) for each in options)]
    archive(Path(given["--model-name"] + ".mar"), {path.name: path.read_bytes() for path in paths}, **model)
