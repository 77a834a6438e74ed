"""Batches that failed, run again: halved where memory ran out, one by one where a request is guilty."""

import time
from collections.abc import Callable, Sequence

import numpy as np
import torch

from deployments.batching.answers import join
from deployments.batching.failure_isolation import Answers, isolate_failure, split_finite
from deployments.batching.memory_limit import MemoryLimit
from deployments.batching.queue import Answer, Item, Part
from deployments.core.errors import InferenceFailed, NotFinite, OutOfMemory
from models.runtime.batch import Batch
from models.runtime.dims import Cut, OpenSizes
from models.runtime.padding import round_up
from models.signature import Rows, Shape

SIZES = (1, 2, 4, 8, 16, 32)
OUT = torch.OutOfMemoryError("CUDA out of memory")
Wrong = Callable[[np.ndarray], Exception | None]


class Device:
    """Doubles its rows unless `wrong` has something to say of them; `tried` has the rows of every forward."""

    overlaps = False
    open_sizes = OpenSizes((), ())
    cut: Cut | None = None

    def __init__(self, wrong: Wrong) -> None:
        self.wrong = wrong
        self.tried: list[int] = []

    def shape(self, parts: Sequence[Rows]) -> Shape:
        return round_up(sum(len(part["x"]) for part in parts), SIZES), ()

    def stage(self, parts: Sequence[Rows]) -> Batch:
        rows = np.concatenate([part["x"] for part in parts])
        return Batch(self.shape(parts), len(rows), [torch.from_numpy(rows)], None, 0, 0)

    def launch(self, batch: Batch) -> Batch:
        self.tried.append(batch.rows)
        error = self.wrong(batch.inputs[0].numpy())
        if error is not None:
            raise error
        batch.launched_s = time.perf_counter()
        return batch

    def finish(self, batch: Batch) -> Answer:
        found = batch.inputs[0].numpy() * 2
        batch.nonfinite = np.isnan(found) if np.isnan(found).any() else None
        return {"y": found}


def parts(*requests: Sequence[float]) -> list[Part]:
    return [Part(item(rows), 0, len(rows)) for rows in requests]


def item(rows: Sequence[float]) -> Item:
    return Item({"x": np.array(rows, np.float32)}, len(rows), 0, 1, on_result=lambda _: None)


def said(answers: Answers) -> list[list[float] | type[Exception]]:
    """Join answers as the batcher does; return, for each request in order, its rows or its first error."""
    found: dict[Item, list[float] | type[Exception]] = {}
    for part, answer in answers:
        if isinstance(answer, Exception):
            found.setdefault(part.item, type(answer))
        elif (whole := join(part, answer)) is not None:
            found.setdefault(part.item, whole["y"].tolist())
    return list(found.values())


def more_than(rows: int) -> Wrong:
    return lambda x: OUT if round_up(len(x), SIZES) > rows else None


def test_out_of_memory_halves_a_batch_until_it_fits_and_everybody_is_answered() -> None:
    device, memory_limit = Device(more_than(4)), MemoryLimit(SIZES)
    asked = parts(*[[float(n)] for n in range(32)])
    assert said(isolate_failure(device, asked, OUT, memory_limit)) == [[2.0 * n] for n in range(32)]
    assert device.tried == [16, 8, 4, 4, 4, 4, 4, 4, 4, 4]
    assert (memory_limit.rows, memory_limit.misses) == (4, 3)


def test_a_request_of_many_rows_is_cut_and_joined_again() -> None:
    device, memory_limit = Device(more_than(4)), MemoryLimit(SIZES)
    asked = parts([0, 1, 2], range(10, 20), [7])
    assert said(isolate_failure(device, asked, OUT, memory_limit)) == [
        [0, 2, 4],
        [2.0 * n for n in range(10, 20)],
        [14],
    ]


def test_one_row_that_never_fits_fails_alone_and_costs_the_others_no_batch_size() -> None:
    device, memory_limit = Device(lambda x: OUT if (x == 5).any() else None), MemoryLimit(SIZES)
    found = said(isolate_failure(device, parts(*[[float(n)] for n in range(8)]), OUT, memory_limit))
    assert found == [[0], [2], [4], [6], [8], OutOfMemory, [12], [14]]
    assert memory_limit.rows is None


def test_where_not_even_the_smallest_size_fits_each_request_is_told_so() -> None:
    device, memory_limit = Device(more_than(0)), MemoryLimit(SIZES)
    assert said(isolate_failure(device, parts([1], [2]), OUT, memory_limit)) == [OutOfMemory, OutOfMemory]
    assert memory_limit.rows is None


def test_a_guilty_request_is_found_among_the_halves_too() -> None:
    def wrong(x: np.ndarray) -> Exception | None:
        return more_than(2)(x) or (ValueError("a secret") if (x < 0).any() else None)

    memory_limit = MemoryLimit(SIZES)
    found = said(isolate_failure(Device(wrong), parts([1], [-1], [3], [4]), OUT, memory_limit))
    assert found == [[2], InferenceFailed, [6], [8]]
    assert memory_limit.rows == 2


def test_any_other_error_runs_each_request_by_itself() -> None:
    device, memory_limit = Device(lambda x: ValueError("no") if (x < 0).any() else None), MemoryLimit(SIZES)
    assert said(isolate_failure(device, parts([1], [-1], [3]), ValueError("no"), memory_limit)) == [
        [2],
        InferenceFailed,
        [6],
    ]
    assert device.tried == [1, 1, 1]
    assert (memory_limit.rows, memory_limit.misses) == (None, 0)


def test_a_lone_request_that_failed_is_not_run_twice() -> None:
    device = Device(lambda _: None)
    assert said(isolate_failure(device, parts([1]), ValueError("no"), MemoryLimit(SIZES))) == [InferenceFailed]
    assert device.tried == []


def test_only_the_request_with_nan_is_refused() -> None:
    off = np.array([False, False, True, False])
    answers = split_finite(parts([1], [2, 3], [4]), {"y": np.array([2, 4, np.nan, 8], np.float32)}, off)
    assert said(answers) == [[2], NotFinite, [8]]
