"""How far the answers of what pitstop chose are off eager fp32, over thousands of rows.

Half of the rows are random, half are like what clients send. Each row is asked of the eager network alone, once, and of
each way in batches of every warmed size in turn.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import cycle
from math import floor, log10
from typing import Any

import numpy as np
import torch
from torch import nn

from models.signature import Array, Rows
from models.sources import source
from models.startup.open_model import OpenedModel
from pitstop.measure.hardware import cores

from .. import script
from ..workloads import sentences
from .built import Built, as_shipped, fp32
from .opened import opened, rows_of

# Smaller ones are counted with those of this decade.
_LEAST_DECADE = -9
_WORDS, _LONGEST = 30522, 120
Draw = Callable[[OpenedModel, np.random.Generator, int], Sequence[Rows]]


@dataclass
class Deviations:
    """The rows of one kind and one way, and how far the answers were off."""

    rows: int = 0
    agreed: int = 0
    largest: float = 0.0
    least_cosine: float = 1.0
    decades: Counter[int] = field(default_factory=Counter)

    def add(self, found: Array, expected: Array) -> None:
        """Count answers float32 [n, outputs]; each is off by its largest difference over its largest value."""
        right, left = expected.astype(float), found.astype(float)
        off = np.abs(left - right).max(1) / np.abs(right).max(1)
        cosine = (left * right).sum(1) / (np.linalg.norm(left, axis=1) * np.linalg.norm(right, axis=1))
        self.rows += len(off)
        self.agreed += int((left.argmax(1) == right.argmax(1)).sum())
        self.largest = max(self.largest, float(off.max()))
        self.least_cosine = min(self.least_cosine, float(cosine.min()))
        self.decades.update(_decade(each) for each in off)

    def as_json(self) -> dict[str, Any]:
        shares = {"agreement": self.agreed / self.rows, "least_cosine": self.least_cosine}
        decades = {str(each): self.decades[each] for each in sorted(self.decades)}
        return {"rows": self.rows, "largest": self.largest, **shares, "decades": decades}


def measured(built: Built, names: Sequence[str], rows: int) -> Iterator[dict[str, Any]]:
    """Yield the whole part after each model."""
    models: list[dict[str, Any]] = []
    for name in names:
        ways = _ways(built, name)
        script.say(f"{name}: {rows:,} answers beside eager's of {', '.join(ways)}")
        models.append({"name": name, "ways": [*_of(name, ways, rows)]})
        yield {"models": models}


def _ways(built: Built, name: str) -> dict[str, OpenedModel]:
    """Return each way's model; one for both where both chose the same forward."""
    found: dict[tuple[str, str], tuple[str, OpenedModel]] = {}
    for way in (fp32(name), as_shipped(name)):
        served = opened(built.config(way), name)
        chosen = served.how, served.precision
        title = f"{found[chosen][0]} and {way.title}" if chosen in found else way.title
        found[chosen] = title, served
    return dict(found.values())


def _of(name: str, ways: Mapping[str, OpenedModel], rows: int) -> Iterator[dict[str, Any]]:
    first = next(iter(ways.values()))
    module = source.load(first.config.source).eval()
    kinds = {way: {kind: Deviations() for kind in DRAWS[name]} for way in ways}
    for kind, draw in DRAWS[name].items():
        sizes = {way: cycle(served.runner.layout.sizes) for way, served in ways.items()}
        random, left = np.random.default_rng(7), rows // len(DRAWS[name])
        while left:
            drawn = draw(first, random, min(left, first.runner.layout.sizes[-1]))
            left -= len(drawn)
            expected = eager(module, drawn, [each.name for each in first.runner.model_inputs])
            for way, served in ways.items():
                kinds[way][kind].add(answers(served, drawn, sizes[way]), expected)
    for way, served in ways.items():
        found = {kind: each.as_json() for kind, each in kinds[way].items()}
        yield {"way": way, "runs": served.how, "precision": served.precision, "kinds": found}


def eager(module: nn.Module, rows: Sequence[Rows], names: Sequence[str]) -> Array:
    """Return the network's own answers, each row asked alone, on every core."""
    threads = torch.get_num_threads()
    torch.set_num_threads(cores())
    try:
        with torch.inference_mode():
            return np.concatenate([module(*(torch.from_numpy(row[name]) for name in names)).numpy() for row in rows])
    finally:
        torch.set_num_threads(threads)


def answers(served: OpenedModel, rows: Sequence[Rows], sizes: Iterator[int]) -> Array:
    """Return a way's answers to the same rows, in batches of these sizes."""
    found, at = [], 0
    while at < len(rows):
        size = next(sizes)
        (batch,) = served.runner.run(rows[at : at + size]).values()
        found.append(batch)
        at += size
    return np.concatenate(found)


def _noise(_: OpenedModel, random: np.random.Generator, count: int) -> Sequence[Rows]:
    return [{"image": random.integers(0, 256, (1, 3, 224, 224), np.uint8)} for _ in range(count)]


def _pictures(_: OpenedModel, random: np.random.Generator, count: int) -> Sequence[Rows]:
    """Draw smooth fields of colour with a little noise on them: most of a photograph is as its surroundings are."""
    coarse = torch.from_numpy(random.uniform(0, 255, (count, 3, 8, 8)))
    smooth = nn.functional.interpolate(coarse, size=(224, 224), mode="bilinear").numpy()
    bytes_ = (smooth + random.normal(0, 4, smooth.shape)).clip(0, 255).astype(np.uint8)
    return [{"image": each[None]} for each in bytes_]


def _tokens(_: OpenedModel, random: np.random.Generator, count: int) -> Sequence[Rows]:
    lengths = random.integers(1, _LONGEST + 1, count)
    drawn = [random.integers(0, _WORDS, (1, int(length))) for length in lengths]
    return [{"input_ids": each, "attention_mask": np.ones_like(each)} for each in drawn]


def _sentences(served: OpenedModel, random: np.random.Generator, count: int) -> Sequence[Rows]:
    return rows_of(served, sentences(count, random))


def _decade(off: float) -> int:
    """Return the power of ten at or below a deviation; one that is no number raises."""
    return _LEAST_DECADE if off == 0 else max(_LEAST_DECADE, floor(log10(off)))


DRAWS: dict[str, dict[str, Draw]] = {
    "resnet50": {"random": _noise, "pictures": _pictures},
    "minilm": {"random": _tokens, "sentences": _sentences},
}
