"""The history of one replica: samples of 5 seconds, made of differences of its totals."""

import pytest

from deployments.batching.batch_result import BatchResult
from deployments.metrics.history import EVERY_S, KEPT, History
from deployments.metrics.statistics import Stats


class Replica:
    """A history on clocks that stand still until they are moved."""

    def __init__(self, began_s: float = 1000.0) -> None:
        self.stats, self.now_s = Stats(), began_s
        self.history = History(self.stats, {(8, ()): 10.0}, lambda: self.now_s, lambda: self.now_s)

    def ran(self, rows: int = 6, request_s: float = 0.02) -> None:
        ran = BatchResult([], rows, (8, ()), row_wait_s=0.06, busy_s=0.02, forward_s=0.01, request_s=[request_s] * rows)
        self.stats.ran(ran)

    def pass_s(self, seconds: int, waiting_rows: int = 0) -> None:
        for _ in range(seconds):
            self.now_s += 1
            self.history.look(waiting_rows)


@pytest.fixture
def replica() -> Replica:
    return Replica()


def test_a_sample_has_what_was_done_in_its_time_and_nothing_from_before(replica: Replica) -> None:
    replica.ran()
    replica.pass_s(EVERY_S)
    replica.ran()
    replica.ran()
    replica.stats.errors["timeout"] += 3
    replica.pass_s(EVERY_S)
    first, second = replica.history.samples(0)
    assert (first["requests"], second["requests"]) == (6, 12)
    assert (first["at"], second["at"], second["seconds"]) == (1000, 1005, 5)
    assert (second["rows"], second["padded_rows"], second["forwards"]) == (12, 16, 2)
    assert (second["queue_s"], second["forward_s"], second["busy_s"], second["raw_s"]) == (0.12, 0.02, 0.04, 0.02)
    assert (first["errors"], second["errors"]) == ({}, {"timeout": 3})
    assert sum(second["latencies"].values()) == 12


def test_the_sample_that_is_not_over_is_told_with_its_length(replica: Replica) -> None:
    replica.pass_s(EVERY_S + 2)
    replica.ran()
    *_, current = replica.history.samples(0)
    assert (current["at"], current["seconds"], current["requests"]) == (1005, 2, 6)


def test_a_sample_of_less_than_a_second_is_not_told(replica: Replica) -> None:
    replica.now_s += 0.5
    assert replica.history.samples(0) == []


def test_the_most_rows_that_were_seen_to_wait_are_told(replica: Replica) -> None:
    replica.pass_s(2, waiting_rows=40)
    replica.pass_s(2)
    assert replica.history.samples(7)[-1]["waiting_rows"] == 40
    replica.pass_s(3)
    assert replica.history.samples(7)[-1]["waiting_rows"] == 7


def test_what_is_older_than_15_minutes_is_forgotten(replica: Replica) -> None:
    replica.pass_s(EVERY_S * (KEPT + 20))
    samples = replica.history.samples(0)
    assert len(samples) == KEPT == 15 * 60 / EVERY_S
    assert samples[0]["at"] == replica.now_s - 15 * 60


def test_samples_of_replicas_that_started_at_different_times_begin_at_the_same_seconds() -> None:
    early, late = Replica(1001.3), Replica(1003.9)
    for each in (early, late):
        each.pass_s(12)
    assert {sample["at"] % EVERY_S for each in (early, late) for sample in each.history.samples(0)} == {0}


def test_a_loop_that_was_held_up_makes_one_longer_sample(replica: Replica) -> None:
    replica.now_s += 17
    replica.history.look(0)
    [sample] = replica.history.samples(0)
    assert (sample["at"], sample["seconds"]) == (1000, 17)
