"""The rows on which variants of a forward are held against eager: a labelled file's, the examples', or drawn ones.

Rows are drawn again when they are needed, since many would take more memory than the weights. Real rows keep their own
sizes: every warmed size is what the check of the compilation compares.
"""

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from configs.accept import AcceptConfig
from configs.schema import ModelConfig

from ..runtime.dims import below
from ..signature import Array, Rows, Signature, Sizes
from . import examples, labelled
from .acceptance_result import shown_by
from .sample_inputs import SampleInputs

NO_LABEL = -1
_DRAWN_ROWS = 1024
_SEED = 5000
Take = Callable[[], Rows]


@dataclass(frozen=True, slots=True)
class Pool:
    """`take` gives so many rows from an index on, of these sizes if they are drawn; None where there are no more.

    `labels` are those of the rows in order, empty if they are drawn; `most` is how many rows to take.
    """

    take: Callable[[int, int, Sizes], Take | None]
    labels: Array
    source: str
    most: int


def pool_of(samples: SampleInputs, config: ModelConfig, accept: AcceptConfig) -> Pool:
    """Return the rows of the labelled file and of the examples, in an order of chance; else rows that are drawn."""
    signature = Signature(samples.inputs, ())
    found = None if accept.accuracy is None else labelled.load(accept.accuracy, signature)
    named = examples.load(config.example, signature, config.predict.decode, labelled.MOST_ROWS)
    rows = [*(found.rows if found else ()), *(named.rows if named else ())]
    if not rows:
        return _drawn(samples, max(_DRAWN_ROWS, min(labelled.MOST_ROWS, shown_by(accept.agreement))))
    known = np.array([], np.int64) if found is None else found.labels
    labels = np.concatenate([known, np.full(len(rows) - len(known), NO_LABEL)])
    # A file is often sorted by its labels, and time may allow only some of it.
    order = np.random.default_rng(_SEED).permutation(len(rows))
    source = "labelled row" if len(known) == len(rows) else "example or labelled row" if len(known) else "example row"
    take = partial(_real, samples, [rows[each] for each in order])
    return Pool(take, labels[order], source, len(rows))


def _real(samples: SampleInputs, rows: Sequence[Rows], start: int, number: int, _: Sizes) -> Take | None:
    chosen = rows[start : start + number]
    return partial(_as_model_takes, samples, chosen) if chosen else None


def _as_model_takes(samples: SampleInputs, rows: Sequence[Rows]) -> Rows:
    arrays = {name: below([row[name] for row in rows]) for name in rows[0]}
    return arrays if samples.preprocess is None else samples.preprocessed(arrays, len(rows))


def _drawn(samples: SampleInputs, most: int) -> Pool:
    """Rows of chance, and between them what a source invents, since that is nearer to what it was trained with."""
    plain = copy.copy(samples)
    plain.examples = None
    invented = samples.examples is not None

    def take(start: int, number: int, sizes: Sizes) -> Take:
        drawn = samples if invented and start % 2 else plain
        return partial(drawn.shaped, (number, sizes), _SEED + start)

    return Pool(take, np.array([], np.int64), "invented or random row" if invented else "random row", most)
