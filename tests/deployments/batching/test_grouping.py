"""Which rows share a forward: held against every other way to divide them."""

import random
from collections.abc import Iterator, Sequence
from itertools import combinations, pairwise
from math import prod

import numpy as np
import pytest

from configs.named_size import axis_named
from configs.tensors import DimConfig
from deployments.batching import grouping
from deployments.batching.fifo import TURN_MS
from deployments.batching.grouping import Grouping
from models.runtime.dims import OpenSizes, all_sizes, dims_in, largest
from models.runtime.padding import round_up
from models.signature import Shape, Sizes, Tensor
from tests.open_sizes import open_sizes

SIZES, LENGTHS = (1, 2, 4, 8), (8, 16, 32, 64)
X = open_sizes(LENGTHS, "x")


def times(fixed: float, a_token: float) -> dict[Shape, float]:
    """Return a device's times: what a forward costs, and each token of each row, padding included."""
    return {(rows, (length,)): fixed + a_token * rows * length for rows in SIZES for length in LENGTHS}


CORE = times(fixed=6, a_token=0.2)
GPU = times(fixed=2, a_token=0.0001)


def sized(lengths: Sequence[int]) -> list[Sizes]:
    return [(length,) for length in lengths]


def partitions(count: int) -> Iterator[list[range]]:
    for cuts in range(count):
        for inner in combinations(range(1, count), cuts):
            ends = [0, *inner, count]
            yield [range(start, stop) for start, stop in pairwise(ends)]


def least_ms(took: dict[Shape, float], rows: Sequence[int], lengths: Sequence[int], limit: int) -> float:
    """Return the least time in which these can be served, by trying every way to divide them in order of length."""
    order = sorted(range(len(rows)), key=lambda each: lengths[each])
    best = float("inf") if rows else 0.0
    for groups in partitions(len(rows)):
        total = 0.0
        for group in groups:
            inside = [order[place] for place in group]
            count = sum(rows[each] for each in inside)
            if count > limit:
                break
            total += took[round_up(count, SIZES), (max(lengths[each] for each in inside),)] + TURN_MS
        else:
            best = min(best, total)
    return best


@pytest.mark.parametrize("took", [CORE, GPU], ids=["core", "gpu"])
@pytest.mark.parametrize("limit", [8, 5, 1])
def test_no_other_way_to_divide_what_waits_by_length_takes_less_time(took: dict[Shape, float], limit: int) -> None:
    draw = random.Random(3)
    for _ in range(60):
        count = draw.randint(1, 8)
        rows = [draw.choice([1, 1, 1, 2, 3]) if limit >= 3 else 1 for _ in range(count)]
        lengths = [draw.choice(LENGTHS) for _ in range(count)]
        group = Grouping(took, X).with_first(rows, sized(lengths), limit)
        rest = [each for each in range(count) if each not in group]
        inside_ms = took[round_up(sum(rows[each] for each in group), SIZES), (max(lengths[each] for each in group),)]
        after_ms = least_ms(took, [rows[each] for each in rest], [lengths[each] for each in rest], limit)
        assert inside_ms + TURN_MS + after_ms <= least_ms(took, rows, lengths, limit) + 1e-9
        assert 0 in group
        assert sum(rows[each] for each in group) <= limit


def test_a_core_runs_short_texts_apart_from_long_ones_and_a_gpu_all_together() -> None:
    lengths = [8, 64, 8, 64, 8, 64, 8, 64]
    assert Grouping(CORE, X).with_first([1] * 8, sized(lengths), 8) == [0, 2, 4, 6]
    assert Grouping(GPU, X).with_first([1] * 8, sized(lengths), 8) == list(range(8))


def test_a_length_beyond_all_that_were_warmed_costs_as_much_more_as_it_is_longer() -> None:
    assert Grouping(CORE, X).with_first([1, 1, 1, 1], sized([8, 640, 8, 640]), 8) == [0, 2]
    assert Grouping(CORE, X).with_first([1, 1, 1, 1], sized([640, 8, 640, 8]), 8) == [0, 2]


def test_of_requests_that_are_alike_none_overtakes_an_older_one() -> None:
    shapes: list[Shape] = [(rows, (length,)) for rows in (1, 2, 4) for length in (8, 16)]
    grouping = Grouping(
        {(rows, sizes): 2 + 0.001 * rows * sizes[0] for rows, sizes in shapes}, open_sizes((8, 16), "x")
    )
    assert grouping.with_first([1] * 8, sized([16, 8, 8, 8, 8, 8, 8, 16]), 4) == [0, 1, 2, 7]


def test_room_is_what_costs_a_forward_nothing() -> None:
    assert Grouping(CORE, X).room(3, (16,), limit=8) == 4
    assert Grouping(GPU, X).room(3, (16,), limit=8) == 8
    assert Grouping(GPU, X).room(3, (16,), limit=6) == 6
    assert Grouping(CORE, X).room(4, (16,), limit=8) == 4


def test_a_requests_length_is_that_of_its_longest_open_input_padded_to_what_was_warmed() -> None:
    grouping = Grouping(CORE, open_sizes(LENGTHS, "ids", "mask"))
    of = {"ids": np.zeros((2, 9)), "mask": np.zeros((2, 17)), "image": np.zeros((2, 64))}
    assert grouping.sizes(of) == (32,)


def test_the_times_of_sizes_that_were_not_warmed_are_computed_once_not_for_every_stretch(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    computed: list[int] = []

    def counted(sizes: Sizes) -> int:
        computed.append(1)
        return prod(sizes)

    monkeypatch.setattr(grouping, "prod", counted)
    dims = dims_in({name: DimConfig(sizes=(8, 64), pad="none") for name in "hw"})
    inputs = [Tensor("x", "FP32", (-1, -1, -1), named=(axis_named(1, "h"), axis_named(2, "w")))]
    took = {(rows, sizes): float(rows) for rows in SIZES for sizes in all_sizes(dims)}
    policy = Grouping(took, OpenSizes(dims, inputs))
    policy.with_first([1] * 100, [(17, 33)] * 100, 8)
    assert len(computed) <= 2 * SIZES[-1] + 2


def test_the_largest_of_every_stretch_is_known() -> None:
    draw = random.Random(5)
    several = [(draw.randint(1, 9), draw.randint(1, 9), draw.randint(1, 9)) for _ in range(37)]
    found = grouping._Largest(several)
    for start, stop in combinations(range(len(several) + 1), 2):
        assert found(start, stop) == largest(several[start:stop])
