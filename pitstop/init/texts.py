"""A network of token ids with a tokenizer: a text is then a request."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn

from models.errors import ModelError

from ..report.render import render
from .guess import Guess
from .infer import infer, needed
from .settle import Found

HOOKS = "hooks.py"
_FILE = "tokenizer.json"
# The highest id, while no embedding has told it.
_UNKNOWN = 1
_PARTS = {"mask": "attention_mask", "type": "type_ids"}


def variants(
    tokenizer: str, example: Sequence[str], folder: Path, args: dict[str, Any], module: nn.Module
) -> list[dict[str, Any]]:
    """Return args with a preprocess that makes ids of texts, and write it; padded first, then never padded.

    Raises:
        ModelError: there is no tokenizer, or the network takes no ids of any length.
    """
    path = Path(tokenizer) if Path(tokenizer).name == _FILE else Path(tokenizer) / _FILE
    if not path.is_file():
        raise ModelError(
            f"--tokenizer {tokenizer}: has no {_FILE}\n"
            "help: save a fast tokenizer there: tokenizer.save_pretrained(DIR), or tokenizer.save of tokenizers"
        )
    names = needed(module) or []
    parts = {name: next((part for word, part in _PARTS.items() if word in name.lower()), "ids") for name in names}
    guesses = [
        Guess(name, [16], torch.int64, set(), _UNKNOWN, like=None if part == "ids" else names[0])
        for name, part in parts.items()
    ]
    found = infer(module, guesses)
    if not found.open_axes:
        raise ModelError(
            f"--tokenizer: {', '.join(names)} of forward take {found.guesses[0].sizes} ids and no other number\n"
            "help: pad in a preprocess of your own (docs/hooks.md)"
        )
    _check_ids(tokenizer, path, found)
    padding = _padding(path)
    text = render(
        "init/text_hooks.py.j2", name=args["name"], tokenizer=str(path), parts=parts, most=found.open_sizes[-1],
        token=padding[0], id=padding[1],
    )  # fmt: skip
    (folder / HOOKS).write_text(text, encoding="utf-8")
    shared = {
        **args,
        **({"example": example[0] if len(example) == 1 else list(example)} if example else {}),
        "preprocess": f"{folder}/{HOOKS}:tokenize",
        "inputs": [{"name": "text", "datatype": "BYTES", "shape": [-1]}],
    }
    return [{**shared, "dims": {"tokens": each}} for each in _dims(found, parts, padding[1])]


def _check_ids(tokenizer: str, path: Path, found: Found) -> None:
    """Raise ModelError where the tokenizer has ids that the embedding has no row for: some texts would fail."""
    rows = [each.highest + 1 for each in found.guesses if each.like is None and each.highest not in (None, _UNKNOWN)]
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        vocabulary = content["model"]["vocab"]
        ids = range(len(vocabulary)) if isinstance(vocabulary, list) else vocabulary.values()
        tokens = max([*ids, *(each["id"] for each in content.get("added_tokens", []))]) + 1
    except (ValueError, KeyError, TypeError, AttributeError):  # A model of tokens without a vocabulary.
        return
    if rows and tokens > min(rows):
        raise ModelError(
            f"--tokenizer {tokenizer}: has {tokens} tokens, and the network's embedding has {min(rows)} rows\n"
            "help: name the tokenizer that the network was trained with, or make the embedding as large with --arg"
        )


def _dims(found: Found, parts: dict[str, str], padding: int) -> Iterator[dict[str, Any]]:
    pads = {name: padding for name, part in parts.items() if part == "ids" and padding}
    sizes = list(found.open_sizes)
    yield {"sizes": sizes, **({"pad": pads} if pads else {})}
    yield {"sizes": sizes, "pad": "none"}


def _padding(path: Path) -> tuple[str, int]:
    """Return the token that fills, and its id."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if content.get("padding"):
            return content["padding"]["pad_token"], content["padding"]["pad_id"]
        for each in content.get("added_tokens", []):
            if "pad" in each["content"].lower():
                return each["content"], each["id"]
    except (ValueError, KeyError, TypeError) as error:
        raise ModelError(f"{path}: is no tokenizer of tokenizers\nhelp: save it again") from error
    return "[PAD]", 0
