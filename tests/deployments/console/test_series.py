"""The samples of several replicas as one series."""

from typing import Any

import pytest

from deployments.console.series import series


def sample(at: int, **changed: Any) -> dict[str, Any]:
    return {
        "at": at,
        "seconds": 5.0,
        "requests": 50,
        "rows": 60,
        "padded_rows": 80,
        "forwards": 10,
        "waiting_rows": 3,
        "queue_s": 0.12,
        "forward_s": 1.0,
        "busy_s": 2.0,
        "raw_s": 1.0,
        "errors": {},
        "latencies": {"40": 50},
        **changed,
    }


def idle(at: int) -> dict[str, Any]:
    none = dict.fromkeys(("requests", "rows", "padded_rows", "forwards", "waiting_rows"), 0)
    return sample(at, **none, queue_s=0, forward_s=0, busy_s=0, raw_s=0, latencies={})


def history(*samples: dict[str, Any], limit: int = 8) -> dict[str, Any]:
    return {"samples": list(samples), "limits": {"max_batch_size": limit}}


def test_one_replica_is_told_as_rates_and_means() -> None:
    found = series([history(sample(100))])
    expected: dict[str, float] = {
        "requests_per_s": 10,
        "rows_per_s": 12,
        "waiting_rows": 3,
        "queue_ms": 2,
        "forward_ms": 100,
    }
    expected |= {"rows_per_forward": 6, "not_padding": 0.75, "full": 0.75, "busy": 0.2, "replicas": 1}
    assert {key: found[key] for key in expected} == {key: [value] for key, value in expected.items()}
    # 30 rows a second while there was work, of the 80 that the raw forward would do.
    assert found["efficiency"] == [0.375]


def test_replicas_add_up_by_time_and_latencies_are_of_all_their_requests() -> None:
    slow = sample(105, latencies={"60": 50})
    found = series([history(sample(100), sample(105)), history(slow)])
    assert (found["at"], found["replicas"]) == ([100, 105], [1, 2])
    assert (found["requests_per_s"], found["waiting_rows"]) == ([10, 20], [3, 6])
    assert found["busy"] == [0.2, 0.2]
    assert found["p99_ms"][1] > 10 * found["p50_ms"][1]
    assert found["p50_ms"][1] == pytest.approx(found["p50_ms"][0], rel=0.2)


def test_a_sample_that_is_not_over_counts_by_its_own_length() -> None:
    found = series([history(sample(100, requests=20, seconds=2.0)), history(sample(100))])
    assert found["requests_per_s"] == [20]


def test_errors_are_counted_by_kind_and_zero_where_there_were_none_but_for_those_of_pages() -> None:
    failing = sample(105, errors={"timeout": 2, "queue_full": 1, "page_refused": 3})
    found = series([history(sample(100), failing), history(sample(105, errors={"timeout": 5}))])
    assert found["errors"] == {"queue_full": [0, 1], "timeout": [0, 7]}


def test_where_nothing_ran_there_is_no_latency_and_no_share() -> None:
    found = series([history(idle(100))])
    for key in ("p50_ms", "p99_ms", "queue_ms", "rows_per_forward", "not_padding", "full", "efficiency"):
        assert found[key] == [None], key
    assert (found["requests_per_s"], found["busy"]) == ([0], [0])


def test_without_a_replica_the_series_is_empty() -> None:
    assert series([]) == {"at": [], "errors": {}}
