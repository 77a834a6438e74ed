"""A directory's own tokenizer as a function of a batch of texts, for many threads at once."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ...errors import ModelError
from ...signature import Array
from .directory import Directory
from .library import part

_FILES = ("tokenizer.json", "vocab.txt", "vocab.json", "*.model", "*.bpe.model", "sentencepiece*")


class Tokenizing:
    """Turns texts into ids. `own` is transformers' tokenizer; the one inside cuts by a setting, hence two of these."""

    def __init__(self, directory: Directory, found: Any, longest: int) -> None:
        self.own = _tokenizer(directory)
        whole = self.own.backend_tokenizer
        whole.no_truncation()
        whole.no_padding()
        self._whole, self._cut = whole, type(whole).from_str(whole.to_str())
        self._cut.enable_truncation(longest)
        self.pad = int(self.own.pad_token_id or 0)
        # Some tokenizers write them for networks that take none.
        takes_types = found.model_type == "xlnet" or getattr(found, "type_vocab_size", 0) > 0
        self._types = takes_types and "token_type_ids" in self.own.model_input_names

    def __call__(self, texts: Sequence[str], cut: bool) -> tuple[dict[str, Array], list[Any]]:
        """Return input_ids, attention_mask and, where the network takes them, token_type_ids, int64 [n, widest]; and
        the encodings themselves.

        Raises:
            ValueError: a text has no token.
        """
        found = (self._cut if cut else self._whole).encode_batch(list(texts))
        # Of a row without one a network makes anything, in company as alone.
        if (empty := next((row for row, each in enumerate(found) if not each.ids), None)) is not None:
            raise ValueError(f"there is no token in text {empty}: send at least one word")
        widest = max(len(each.ids) for each in found)
        arrays = {"input_ids": padded([each.ids for each in found], widest, self.pad)}
        arrays["attention_mask"] = padded([each.attention_mask for each in found], widest)
        if self._types:
            arrays["token_type_ids"] = padded([each.type_ids for each in found], widest)
        return arrays, found


def padded(rows: Sequence[Sequence[Any]], widest: int, value: int = 0, tail: tuple[int, ...] = ()) -> Array:
    """Return rows of unlike lengths as int64 [n, widest, ...]."""
    array = np.full((len(rows), widest, *tail), value, np.int64)
    for row, values in enumerate(rows):
        if len(values):
            array[row, : len(values)] = values
    return array


def decoded(texts: Array, prepare: Callable[[str], str] = str) -> list[str]:
    """Return BYTES [n] as text; raise ValueError where one is not UTF-8."""
    return [prepare(_text(text, row)) for row, text in enumerate(texts.ravel())]


def _text(text: bytes, row: int) -> str:
    try:
        return text.decode()
    except UnicodeDecodeError as error:
        raise ValueError(f"text {row} is not UTF-8 at byte {error.start}: send every text encoded as UTF-8") from error


def _tokenizer(directory: Directory) -> Any:
    found = part(directory, "AutoTokenizer", "tokenizer", "tokenizer_config.json", *_FILES)
    if not getattr(found, "is_fast", False):
        raise ModelError(
            f"{directory.location}: its tokenizer, {type(found).__name__}, is written in Python, and one of the "
            "package tokenizers is needed\nhelp: save a directory with a tokenizer.json, or name a factory of yours"
        )
    return found
