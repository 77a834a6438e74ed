"""The parts of `pitstop load` that know no clock and no network."""

from itertools import pairwise

import numpy as np
import pytest

from pitstop.load import retry
from pitstop.load.grpc_message import infer_request
from pitstop.load.histogram import histogram
from pitstop.load.outcome import CLOSED, PROXY, REFUSED, TIMEOUT, Failure
from pitstop.load.plan import Plan
from pitstop.load.record import Record
from pitstop.load.summary import summarise
from pitstop.load.tensor import Tensor
from pitstop.measure.intervals import percentiles, ranks
from pitstop.measure.percentiles import rank


@pytest.mark.parametrize("count, level, place", [(1, 0.5, 0), (2, 0.5, 0), (100, 0.99, 98), (1000, 0.999, 998)])
def test_a_percentile_is_the_least_value_that_this_share_does_not_exceed(count: int, level: float, place: int) -> None:
    assert rank(count, level) == place


@pytest.mark.parametrize("level", [0.5, 0.9, 0.99])
def test_the_interval_of_independent_values_covers_the_true_percentile_as_often_as_it_says(level: float) -> None:
    rng = np.random.default_rng(0)
    low, high = ranks(1000, level)
    assert high is not None
    drawn = np.sort(rng.random((2000, 1000)), axis=1)
    covered = ((drawn[:, low] <= level) & (level <= drawn[:, high])).mean()
    assert 0.94 <= covered <= 0.98


def test_a_percentile_with_too_few_values_behind_it_has_no_upper_bound() -> None:
    assert ranks(500, 0.999)[1] is None
    assert ranks(10_000, 0.999)[1] is not None


def test_values_that_share_a_stall_get_a_wider_interval_than_their_number_suggests() -> None:
    times = np.arange(4000) / 100
    values = np.ones(4000) + np.random.default_rng(0).random(4000) * 0.1
    together, scattered = values.copy(), values.copy()
    together[1000:1060] = 200
    scattered[np.arange(60) * 66] = 200
    stalled, spread = percentiles(times, together)[2], percentiles(times, scattered)[2]
    assert stalled.value == spread.value == 200
    assert stalled.low < 2
    assert spread.low == pytest.approx(200, rel=0.01)


def test_no_values_have_no_percentiles_and_no_histogram() -> None:
    assert percentiles(np.array([]), np.array([])) == []
    assert histogram(np.array([])) == []


def test_a_histogram_holds_every_value_once() -> None:
    values = np.random.default_rng(0).lognormal(1, 2, 10_000)
    bins = histogram(values)
    assert sum(each.count for each in bins) == 10_000
    assert bins[0].low <= values.min() <= values.max() < bins[-1].high
    assert all(first.high == second.low for first, second in pairwise(bins))


@pytest.mark.parametrize(
    "failure, wait",
    [
        (Failure(REFUSED), 0.05),
        (Failure(CLOSED), 0.05),
        (Failure(PROXY), 0.05),
        (Failure("HTTP 502"), 0.05),
        (Failure("HTTP 503", 2.0), 2.0),
        (Failure("HTTP 503"), None),
        (Failure("HTTP 400"), None),
        (Failure("HTTP 500", 1.0), None),
        (Failure(TIMEOUT), None),
    ],
)
def test_only_dead_connections_dead_servers_and_a_503_that_names_a_time_are_tried_again(
    failure: Failure, wait: float | None
) -> None:
    assert retry.wait_s(failure, 0) == wait


def test_the_wait_for_a_connection_doubles() -> None:
    assert [retry.wait_s(Failure(REFUSED), tried) for tried in range(3)] == [0.05, 0.1, 0.2]


def test_a_grpc_request_is_the_bytes_that_the_protocol_says() -> None:
    tensor = Tensor("x", "FP32", np.array([[1.0, 2.0]], dtype=np.float32))
    raw = np.array([1, 2], dtype="<f4").tobytes()
    shape = b"\x1a\x02\x01\x02"
    tensor_field = b"\x2a\x0d\x0a\x01x\x12\x04FP32" + shape
    assert infer_request("m", "", [tensor]) == b"\x0a\x01m" + tensor_field + b"\x3a\x08" + raw


def test_a_grpc_length_beyond_127_takes_two_bytes() -> None:
    tensor = Tensor("x", "UINT8", np.zeros((1, 300), dtype=np.uint8))
    assert infer_request("m", "1", [tensor]).endswith(b"\x3a\xac\x02" + bytes(300))


def test_warm_up_is_left_out_and_a_timeout_counts_as_long_as_it_was_waited_for() -> None:
    record = Record(took_s=20)
    for due_s, latency_s, failure in [
        (0.5, 9.0, None),
        (2.0, 0.1, None),
        (3.0, 0.1, None),
        (4.0, 5.0, Failure(TIMEOUT)),
        (5.0, 0.2, Failure("HTTP 500")),
    ]:
        record.add(due_s, latency_s, failure)
    summary = summarise(Plan(rate_rps=1, seconds=10, warmup_s=1, timeout_s=5), record)
    assert summary.answered == 2
    assert summary.max_ms == 5000
    assert summary.errors == {TIMEOUT: 1, "HTTP 500": 1}
    assert summary.failed_share == 0.5
    # The answer to a request of the warm-up came within the window, too.
    assert summary.answered_rps == pytest.approx(0.3)


def test_a_client_that_sends_late_is_named_as_the_limit() -> None:
    def told(late_s: float) -> tuple[str, ...]:
        record = Record(took_s=11)
        for number in range(1000):
            record.late_s.append(late_s)
            record.add(1 + number / 100, 0.01, None)
        return summarise(Plan(rate_rps=100), record).client_limit

    assert told(0.0005) == ()
    assert "sent late" in told(0.002)[0]


def test_a_client_that_fills_its_core_or_runs_out_of_connections_is_named_as_the_limit() -> None:
    found = summarise(Plan(rate_rps=1), Record(took_s=11, cpu_share=0.97, queued=3)).client_limit
    assert ["of a core" in found[0], "--most" in found[1]] == [True, True]
