import numpy as np
import pytest

from deployments.batching.answers import join, split
from deployments.batching.fifo import Fifo
from deployments.batching.grouping import Grouping
from deployments.batching.queue import Answer, Item, Part, Policy, Waiting
from models.signature import Shape
from tests.open_sizes import open_sizes


def item(rows: int, deadline_s: float = 100.0, abandoned: bool = False, length: int = 0) -> Item:
    arrays = {"x": np.zeros((rows, length)) if length else np.arange(rows)}
    return Item(arrays, rows, arrived_s=0, deadline_s=deadline_s, on_result=lambda _: None, abandoned=abandoned)


def batches(rows: list[int], limit: int) -> list[list[int]]:
    waiting = queued([item(each) for each in rows])
    found = []
    while waiting:
        found.append([part.stop - part.start for part in waiting.take(limit, now_s=0)])
    return found


def queued(items: list[Item], policy: Policy | None = None) -> Waiting:
    waiting = Waiting(policy or Fifo())
    for each in items:
        waiting.append(each)
    return waiting


@pytest.mark.parametrize(
    "rows, limit, expected",
    [
        ([1, 1, 1], 8, [[1, 1, 1]]),
        ([1] * 5, 2, [[1, 1], [1, 1], [1]]),
        ([3, 3, 3], 8, [[3, 3], [3]]),
        ([8, 1], 8, [[8], [1]]),
        ([20], 8, [[8], [8], [4]]),
        ([20, 4], 8, [[8], [8], [4, 4]]),
        ([3, 20], 8, [[3, 5], [8], [7]]),
        ([1, 1], 1, [[1], [1]]),
    ],
)
def test_batches_are_filled_in_order_and_only_oversized_requests_are_split(
    rows: list[int], limit: int, expected: list[list[int]]
) -> None:
    assert batches(rows, limit) == expected


TOKENS: dict[Shape, float] = {(size, (length,)): float(size * length) for size in (1, 2, 4) for length in (8, 32, 64)}


def grouping(ms: dict[Shape, float]) -> Grouping:
    return Grouping(ms, open_sizes(sorted({length for _, (length,) in ms}), "x"))


def ragged(lengths: list[int], rows: int = 1, ms: dict[Shape, float] = TOKENS) -> tuple[Waiting, list[Item]]:
    """Return a queue of items of these lengths, for a device that takes as long as a batch has tokens."""
    items = [item(rows, length=length) for length in lengths]
    for age, each in enumerate(items):
        each.arrived_s = age
    return queued(items, grouping(ms)), items


def taken(waiting: Waiting, limit: int) -> list[list[Part]]:
    found = []
    while waiting:
        found.append(waiting.take(limit, now_s=0))
    return found


def test_the_oldest_takes_those_along_that_cost_no_padding() -> None:
    waiting, _ = ragged([8, 64, 8, 64, 8, 32, 64, 8])
    lengths = [[part.item.sizes[0] for part in batch] for batch in taken(waiting, 4)]
    assert lengths == [[8, 8, 8, 8], [64, 64], [32], [64]]


def test_the_oldest_goes_next_whatever_its_length() -> None:
    waiting, items = ragged([64, *[8] * 200])
    assert waiting.take(4, now_s=0)[0].item is items[0]
    assert waiting.take(4, now_s=0)[0].item is items[1]
    assert waiting.rows == 196


def test_every_row_is_taken_once_in_order_within_a_batch() -> None:
    waiting, items = ragged([8, 32, 64, 32, 8, 64] * 50, rows=2)
    batches = taken(waiting, 4)
    assert sorted(id(part.item) for batch in batches for part in batch) == sorted(map(id, items))
    for batch in batches:
        assert sum(part.stop - part.start for part in batch) <= 4
        assert [part.item.arrived_s for part in batch] == sorted(part.item.arrived_s for part in batch)


def test_a_split_request_keeps_its_parts_in_order_among_other_lengths() -> None:
    waiting, items = ragged([64, 8, 8])
    items[0].rows, items[0].arrays = 5, {"x": np.arange(5)}
    waiting.rows += 4
    found = [[(part.item is items[0], part.start) for part in batch] for batch in taken(waiting, 2)]
    assert found == [[(True, 0)], [(True, 2)], [(True, 4), (False, 0)], [(False, 0)]]


def test_a_request_begun_when_batches_were_smaller_goes_on_where_it_was() -> None:
    waiting, items = ragged([64, 8])
    items[0].rows, items[0].arrays = 3, {"x": np.arange(3)}
    waiting.rows += 2
    assert [part[1:] for part in waiting.take(2, now_s=0)] == [(0, 2)]
    assert [part[1:] for part in waiting.take(4, now_s=0)] == [(2, 3), (0, 1)]


def test_among_lengths_too_what_nobody_waits_for_leaves_without_a_forward() -> None:
    waiting, items = ragged([8, 8, 64])
    items[0].abandoned = items[2].abandoned = True
    assert [part.item for part in waiting.take(4, now_s=0)] == [items[1]]
    assert waiting.rows == 0
    waiting, items = ragged([8])
    items[0].abandoned = True
    assert waiting.take(4, now_s=0) == []


def prioritised(wanted: list[tuple[int, int]], ms: dict[Shape, float]) -> tuple[Waiting, list[Item]]:
    """Return a queue of items of (length, priority), and its items."""
    items = [item(1, length=length) for length, _ in wanted]
    for age, (each, (_, priority)) in enumerate(zip(items, wanted, strict=True)):
        each.priority, each.arrived_s = priority, age
    return queued(items, grouping(ms)), items


def test_among_lengths_too_priority_goes_first() -> None:
    core: dict[Shape, float] = {(rows, (length,)): float(rows * length) for rows in (1, 2, 4) for length in (8, 64)}
    waiting, items = prioritised([(8, 5), (8, 9), (64, 1), (8, 5)], core)
    batches = [[items.index(part.item) for part in batch] for batch in taken(waiting, 4)]
    assert batches == [[2], [0, 3], [1]]


def test_lower_priorities_join_where_that_costs_nothing() -> None:
    gpu: dict[Shape, float] = {(rows, (length,)): 2.0 for rows in (1, 2, 4) for length in (8, 64)}
    waiting, items = prioritised([(8, 5), (64, 9), (8, 1), (8, 5), (8, 9)], gpu)
    batches = [[items.index(part.item) for part in batch] for batch in taken(waiting, 4)]
    assert batches == [[2, 0, 3, 4], [1]]
    assert waiting.rows == 0


def test_a_forward_is_filled_however_many_requests_that_takes() -> None:
    waiting, _ = ragged([8] * 600, ms={(rows, (8,)): 1.0 for rows in (1, 256)})
    assert [len(batch) for batch in taken(waiting, 256)] == [256, 256, 88]


def test_what_nobody_waits_for_leaves_without_a_forward() -> None:
    left = item(4)
    left.is_disconnected = lambda: True
    waiting = queued([item(2, abandoned=True), item(3, deadline_s=5), left, item(1)])
    assert [part.item.rows for part in waiting.take(8, now_s=6)] == [1]
    assert waiting.rows == 0


@pytest.mark.parametrize("given, order", [([0, 1, 10, 5], [1, 0, 5, 10]), ([10, 99, 4], [4, 10, 99])])
def test_priority_one_goes_first_and_none_counts_as_the_middle(given: list[int], order: list[int]) -> None:
    items = [item(1) for _ in given]
    for each, priority in zip(items, given, strict=True):
        each.priority = priority
    assert [part.item.priority for part in queued(items).take(8, now_s=0)] == order


def test_a_part_holds_its_own_rows() -> None:
    whole = item(5)
    assert Part(whole, 1, 3).arrays["x"].tolist() == [1, 2]
    assert Part(whole, 0, 5).arrays is whole.arrays


def test_split_and_join_give_each_request_its_own_rows() -> None:
    one, two = item(2), item(9)
    parts = [Part(one, 0, 2), Part(two, 0, 6)]
    answers = split(parts, {"y": np.arange(8)})
    assert _whole([answers[0]]) == [0, 1]
    assert join(*answers[1]) is None
    assert _whole([(Part(two, 6, 9), {"y": np.arange(8, 11)})]) == [2, 3, 4, 5, 6, 7, 8, 9, 10]


def test_parts_that_come_back_in_another_order_are_joined_in_that_of_the_rows() -> None:
    """Behind ingress replicas two blocks of one request cross at a time."""
    whole = item(500)
    parts = [Part(whole, start, min(start + 32, 500)) for start in range(0, 500, 32)]
    answers = [(part, {"y": np.arange(part.start, part.stop)}) for part in parts]
    for one in range(0, len(answers) - 1, 2):
        answers[one], answers[one + 1] = answers[one + 1], answers[one]
    assert _whole(answers) == list(range(500))


def _whole(answers: list[tuple[Part, Answer]]) -> list[int]:
    for part, answer in answers:
        found = join(part, answer)
    assert found is not None
    whole: list[int] = found["y"].tolist()
    return whole
