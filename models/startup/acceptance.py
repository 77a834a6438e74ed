"""Holds variants of a forward against eager fp32, as the config's `accept` asks.

Eager's answers cost most, so `expected` computes them once, as many as fit a number of seconds, and `acceptance` is
called for each variant.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import count

import torch

from configs.accept import AcceptConfig
from configs.schema import ModelConfig

from ..runtime.dims import all_sizes
from ..runtime.layout import Layout
from ..runtime.postprocessed import check_outputs
from ..signature import Array, Shape, Tensor, signature_of
from ..sources.hooks import Hook
from ..user_code import call_at_start
from . import labelled
from .acceptance_result import Acceptance, Accuracy, Figures, accepted, measures
from .acceptance_rows import NO_LABEL, Pool, Take, pool_of
from .eager_reference import Reference
from .likeness import check_measures, measured, total
from .postprocess_check import HOOK_ADVICE, as_arrays
from .row_checks import Answer
from .sample_inputs import SampleInputs

# Of so many batches one has the smallest size, the others the largest.
_TURNS = 4


@dataclass(frozen=True, slots=True)
class Batch:
    """Rows as the model takes them, and what eager answers them. Where nothing has labels, `labels` is empty."""

    rows: Take
    count: int
    answers: Sequence[torch.Tensor]
    labels: Array


@dataclass(frozen=True, slots=True)
class Expected:
    """What eager fp32 answers; `source` says whose rows they are.

    `right` counts the labels that answers have in the output `labelled`; eager has `reference_right`.
    """

    accept: AcceptConfig
    outputs: tuple[Tensor, ...]
    batches: tuple[Batch, ...]
    source: str
    right: Callable[[Sequence[torch.Tensor], Array], int]
    labelled: str
    reference_right: int

    @property
    def rows(self) -> int:
        return sum(each.count for each in self.batches)

    @property
    def sizes(self) -> tuple[int, ...]:
        """The numbers of rows that a batch has."""
        return tuple(sorted({each.count for each in self.batches}))

    def accuracy(self, right: int) -> Accuracy | None:
        """Return the result of a variant that has so many labels right."""
        if self.accept.accuracy is None:
            return None
        rows = sum(int((each.labels != NO_LABEL).sum()) for each in self.batches)
        return Accuracy(self.labelled, rows, right, self.reference_right, self.accept.accuracy.at_least)


def expected(
    reference: Reference,
    samples: SampleInputs,
    config: ModelConfig,
    postprocess: Hook | None,
    budget_s: float,
    clock: Callable[[], float] = time.perf_counter,
) -> Expected:
    """Return what eager answers to as many rows as fit the budget, one batch at least.

    Args:
        reference: eager in fp32.
        samples: the model's rows, and its examples.
        config: the model, with `accept`, its inputs and its outputs.
        postprocess: makes what a client gets, which is what labels are of.
        budget_s: how long eager may answer.
        clock: seconds.

    Raises:
        ModelError: a measure fits no output, or the labelled file cannot be used.
    """
    accept = config.accept
    assert accept is not None
    check_measures(list(measures(accept)), reference.outputs)
    pool, name, right = pool_of(samples, config, accept), "", _nothing_right
    if accept.accuracy is not None:
        client = reference.outputs if postprocess is None else signature_of(config).outputs
        output = labelled.answer_output(accept.accuracy, client)
        labelled.check_labels(accept.accuracy, pool.labels[pool.labels != NO_LABEL], output)
        name, right = output.name, partial(_right, reference.outputs, postprocess, client, output.name)
    batches = tuple(_batches(reference, pool, budget_s, clock))
    known = sum(right(each.answers, each.labels) for each in batches)
    return Expected(accept, reference.outputs, batches, pool.source, right, name, known)


class Compared:
    """The figures of the answers that a start compares at every warmed size: rows that need not be asked for again."""

    def __init__(self, accept: AcceptConfig, outputs: Sequence[Tensor], samples: SampleInputs) -> None:
        check_measures(list(measures(accept)), outputs)
        self._accept = accept
        self._outputs = outputs
        self.figures: list[list[Figures]] = []
        self.sizes: set[int] = set()
        real = samples.examples is not None and not samples.examples.invented
        self.source = "example row" if real else "random row"
        # The examples are asked for again at each shape.
        self._most = len(samples.examples) if real and samples.examples is not None else None

    @property
    def rows(self) -> int:
        """How many rows there were, each counted once."""
        asked = sum(each[0].rows for each in self.figures)
        return asked if self._most is None else min(asked, self._most)

    def __call__(self, answers: Sequence[torch.Tensor], expected: Sequence[torch.Tensor]) -> None:
        """Add a batch's answers and eager's."""
        both = zip(answers, expected, self._outputs, strict=True)
        self.figures.append([measured(own, eagers, tensor) for own, eagers, tensor in both])
        self.sizes.add(len(expected[0]))

    def result(self) -> Acceptance:
        return accepted(self._accept, self.rows, self.source, sorted(self.sizes), _totals(self.figures), None)


def acceptance(answer: Answer, expected: Expected, seen: Compared | None = None) -> Acceptance:
    """Return how near a variant's answers are to what eager answered, and whether that is near enough.

    Args:
        answer: the variant.
        expected: rows, and what eager answered.
        seen: what was compared before, at every warmed size, which counts too.
    """
    right, figures = 0, list(seen.figures) if seen else []
    for batch in expected.batches:
        answers = answer(batch.rows())
        both = zip(answers, batch.answers, expected.outputs, strict=True)
        figures.append([measured(own, eagers, tensor) for own, eagers, tensor in both])
        right += expected.right(answers, batch.labels)
    known = [each for each in (expected, seen) if each is not None]
    source = " or ".join(sorted({each.source for each in known}))
    sizes = sorted({size for each in known for size in each.sizes})
    # Examples are among those that eager answered, once each.
    rows = max if source == "example row" else sum
    return accepted(
        expected.accept,
        rows([each.rows for each in known]),
        source,
        sizes,
        _totals(figures),
        expected.accuracy(right),
    )


def _totals(figures: Sequence[Sequence[Figures]]) -> list[Figures]:
    return [total(each) for each in zip(*figures, strict=True)]


def _batches(reference: Reference, pool: Pool, budget_s: float, clock: Callable[[], float]) -> Iterator[Batch]:
    """Yield batches and eager's answers until there are enough, no more, or no time; the last one may be smaller."""
    began, done, whole = clock(), 0, reference.layout.whole
    for size, sizes in _shapes(reference.layout):
        left = min(size, pool.most - done)
        if done:
            spent = clock() - began
            left = min(left, int((budget_s - spent) * done / spent) if spent > 0 else left)
        # Rows that belong together are asked for as a whole.
        rows = pool.take(done, size if whole and left > 0 else left, sizes) if left > 0 else None
        if rows is None:
            return
        given = rows()
        number = len(next(iter(given.values())))
        yield Batch(rows, number, reference(given), pool.labels[done : done + number])
        done += number


def _shapes(layout: Layout) -> Iterator[Shape]:
    """Yield the smallest and the largest batch size in turns, and with them the sizes of the open dimensions: the
    least first, the most next.
    """
    least, *others = all_sizes(layout.dims)
    order = [least, *reversed(others)]
    for turn in count():
        size = layout.sizes[-1] if turn % _TURNS else layout.sizes[0]
        yield size, order[(turn + turn // _TURNS) % len(order)]


def _nothing_right(*_: object) -> int:
    return 0


def _right(
    outputs: Sequence[Tensor],
    postprocess: Hook | None,
    client: Sequence[Tensor],
    name: str,
    answers: Sequence[torch.Tensor],
    labels: Array,
) -> int:
    """Return how many labelled rows a client would get right."""
    known = labels != NO_LABEL
    if not known.any():
        return 0
    given = as_arrays(outputs, answers)
    if postprocess is not None:
        returned = call_at_start("postprocess", HOOK_ADVICE, postprocess, given)
        given = call_at_start("postprocess", "return a dict of arrays", check_outputs, returned, len(labels), client)
    return labelled.right(given[name][known], labels[known])
