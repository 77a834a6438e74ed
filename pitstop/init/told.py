"""What `pitstop init` prints: what was found, and what to run next."""

import json
import math
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console

from ..check.load_models import Opened
from . import write
from .draft import Draft
from .options import InitOptions

# Numbers that a line for a terminal may have.
_MOST_TYPED = 24


def typed(options: InitOptions) -> str:
    """Return the arguments as they were typed, for the head of the config."""
    flags = {"--weights": options.weights, "--tokenizer": options.tokenizer, "--task": options.task}
    words = [options.source, *(word for flag, value in flags.items() if value for word in (flag, value))]
    words += [word for each in options.example for word in ("--example", each)]
    words += [word for each in options.arguments for word in ("--arg", each)]
    words += [word for each in options.inputs for word in ("--input", each)]
    return shlex.join(words)


def show_found(draft: Draft, console: Console) -> None:
    for each in draft.said:
        console.print(f"  {each}")


def show_opened(draft: Draft, args: Mapping[str, Any], opened: Opened, failed: Opened | None, console: Console) -> None:
    console.print(f"{draft.name}: takes {_inputs(draft, args)}", style="green")
    console.print(f"{draft.name}: answers {draft.outputs}", style="green")
    console.print(f"{draft.name}: opens on {opened.text}", style="green")
    if failed is not None:
        # The first variant pads, and this network reads its padding, or takes one size.
        console.print(f"  not as first tried: {failed.text.partition(chr(10))[0]}")
    if opened.output:
        console.print(opened.output)


def show_next(
    draft: Draft, config: Path, folder: Path, made: list[str], options: InitOptions, console: Console
) -> None:
    names = ", ".join([*made, write.CLIENT, write.test_file(draft.name)])
    what = "added it to" if options.config is not None else "wrote"
    place = "beside it" if config.parent == folder else f"in {folder}/"
    console.print(f"\n{what} {config}, and {place} {names}")
    example = options.example[0] if options.example and draft.kind != "text" else None
    url = f"localhost:8000/v2/models/{draft.name}"
    asked = {
        "picture": f"curl --data-binary @{example or 'picture.jpg'} {url}/predict",
        "sound": f"curl --data-binary @{example or 'speech.wav'} {url}/predict",
        "text": f"curl -H 'Content-Type: text/plain' -d 'a text' {url}/predict",
        "tensors": _instance(draft, url),
    }[draft.kind]
    given = {"picture": f" {example or 'picture.jpg'}", "sound": f" {example or 'speech.wav'}", "text": " 'a text'"}
    console.print("\nnext:")
    client = f"python {folder / write.CLIENT}{given.get(draft.kind, '')}"
    for line in (
        f"pitstop run {config}",
        *([asked, client] if asked else [f"{client} # asks it with numbers drawn at random"]),
        f"pytest {folder / write.test_file(draft.name)}",
    ):
        console.print(f"  {line}")


def _instance(draft: Draft, url: str) -> str:
    """Return a request where one is short enough to be typed, else ""."""
    if not draft.sizes or sum(math.prod(shape) for _, _, shape, _ in draft.sizes) > _MOST_TYPED:
        return ""
    row = {
        name: _filled(shape, 0.5 if kind.startswith("FP") else kind == "BOOL" or 1)
        for name, kind, shape, _ in draft.sizes
    }
    instance = row if len(row) > 1 else next(iter(row.values()))
    return f"curl {url}/predict -d '{json.dumps({'instances': [instance]})}'"


def _filled(shape: Sequence[int], value: float | bool) -> Any:
    return value if not shape else [_filled(shape[1:], value) for _ in range(shape[0])]


def _inputs(draft: Draft, args: Mapping[str, Any]) -> str:
    tensors = args.get("inputs")
    if tensors:
        return ", ".join(f"{each['name']} {each['datatype']} {each['shape']}" for each in tensors).replace("'", "")
    sizes = ", ".join(f"{name} {kind} {[-1, *shape]}" for name, kind, shape, _ in draft.sizes)
    return sizes or {"picture": "a picture", "text": "a text", "sound": "a WAV"}.get(draft.kind, "what its source says")
