"""The hooks of text tasks: a tokenizer before the network; scores, or spans of tokens, after it."""

import json
from collections.abc import Mapping
from typing import Any

import numpy as np

from configs.schema import ModelConfig

from ...signature import Array, Rows
from ..hooks import Hook
from .classes import class_scores, softmax
from .completion import longest_row
from .directory import Directory
from .library import configuration
from .parameters import check, fraction
from .pooling import sentences_of
from .tokenizing import Tokenizing, decoded, padded

_CUT = "truncate"
_TOO_LONG = f"shorten the text, or send the parameter {_CUT}: true to have it cut"


def classification_hooks(directory: Directory, config: ModelConfig) -> tuple[Hook, Hook | None]:
    """Return the tokenizer, and the scores of the labels."""
    found = configuration(directory, "text-classification")
    tokens = Tokenizing(directory, found, longest_row(config))

    def tokenize(rows: Rows, parameters: Mapping[str, Any]) -> dict[str, Array]:
        return tokens(decoded(rows["text"]), check(parameters, _CUT))[0]

    return Hook(tokenize, True, _TOO_LONG), Hook(class_scores(found), False)


def embedding_hooks(directory: Directory, config: ModelConfig) -> tuple[Hook, Hook | None]:
    """Return the tokenizer, which cuts texts as sentence-transformers does; the network gives the vector itself."""
    sentences = sentences_of(directory)
    tokens = Tokenizing(sentences.network, configuration(sentences.network, "sentence-embedding"), longest_row(config))

    def prepare(text: str) -> str:
        text = sentences.prefix + text
        return text.lower() if sentences.lower else text

    def tokenize(rows: Rows) -> dict[str, Array]:
        return tokens(decoded(rows["text"], prepare), True)[0]

    return Hook(tokenize, False), None


def token_hooks(directory: Directory, config: ModelConfig) -> tuple[Hook, Hook | None]:
    """Return the tokenizer, and what makes spans of its tokens' labels.

    `spans` goes through the network unchanged, int64 [n, tokens, 3]: a token's id plus one, and where it begins and
    ends in the text; all zero for padding and special tokens.
    """
    own = configuration(directory, "token-classification")
    tokens, labels = Tokenizing(directory, own, longest_row(config)), own.id2label

    def tokenize(rows: Rows, parameters: Mapping[str, Any]) -> dict[str, Array]:
        fraction(parameters)
        arrays, encodings = tokens(decoded(rows["text"]), check(parameters, _CUT))
        spans = [
            [
                (0, 0, 0) if special else (number + 1, *place)
                for number, place, special in zip(each.ids, each.offsets, each.special_tokens_mask, strict=True)
            ]
            for each in encodings
        ]
        return {**arrays, "spans": padded(spans, arrays["input_ids"].shape[1], tail=(3,))}

    def find(rows: Rows, parameters: Mapping[str, Any]) -> dict[str, Array]:
        least = fraction(parameters)
        texts = np.empty(len(rows["logits"]), object)
        for row, (logits, spans) in enumerate(zip(rows["logits"], rows["spans"], strict=True)):
            real = spans[:, 0] > 0
            groups = _groups(softmax(logits[real].astype(np.float32)), spans[real], labels)
            found = [_entity(label, scores, place, tokens.own) for label, scores, place in groups]
            texts[row] = json.dumps([each for each in found if each["score"] >= least], ensure_ascii=False).encode()
        return {"entities": texts}

    return Hook(tokenize, True, _TOO_LONG), Hook(find, True)


def _groups(scores: Array, spans: Array, labels: Mapping[int, str]) -> list[tuple[str, list[float], list[Array]]]:
    """Put tokens together whose label is the same and goes on, as transformers' strategy `simple` does; without O."""
    groups: list[tuple[str, list[float], list[Array]]] = []
    for number, score, span in zip(scores.argmax(1), scores.max(1), spans, strict=True):
        begins, label = _tag(labels[int(number)])
        if not groups or groups[-1][0] != label or begins:
            groups.append((label, [], []))
        groups[-1][1].append(float(score))
        groups[-1][2].append(span)
    return [group for group in groups if group[0] != "O"]


def _tag(label: str) -> tuple[bool, str]:
    return label.startswith("B-"), label[2:] if label.startswith(("B-", "I-")) else label


def _entity(label: str, scores: list[float], spans: list[Array], tokenizer: Any) -> dict[str, Any]:
    words = tokenizer.convert_ids_to_tokens([int(span[0]) - 1 for span in spans])
    return {
        "word": tokenizer.convert_tokens_to_string(words),
        "start": int(spans[0][1]),
        "end": int(spans[-1][2]),
        "label": label,
        "score": float(np.mean(scores)),
    }
