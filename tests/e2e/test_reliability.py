"""The rows of docs/reliability.md, run for a few seconds each: no wrong answer, and as many replicas as before.

Nothing here asserts a time or a count of failures but where a client that retries must see none: a machine that is busy
with other things answers late, and `make reliability` measures on one that is not.
"""

import pytest

from benchmarks.reliability.case import Case
from benchmarks.reliability.cases import CASES
from benchmarks.reliability.faults import killed_and_retried
from benchmarks.reliability.measure import measure
from benchmarks.reliability.server_under_test import PITSTOP
from benchmarks.reliability.service import ServiceOptions
from benchmarks.reliability.standing import standing
from pitstop.load.outcome import TIMEOUT

pytestmark = pytest.mark.ray

OURS = [case for case in CASES if PITSTOP in case.servers]
GOES_ON = [case for case in OURS if not case.name.startswith("overload")]


@pytest.mark.long
def test_a_killed_replica_costs_a_client_that_retries_nothing_and_is_replaced() -> None:
    with standing(PITSTOP, ServiceOptions(deployment={"health_check_period_s": 2})) as tested:
        found = killed_and_retried(tested, seconds=2.0)
    assert found["wrong"] == 0, found
    assert found["failed"] == found["errors"].get(TIMEOUT, 0), found
    assert found["replicas_back_s"] is not None, found


@pytest.mark.long
@pytest.mark.parametrize("case", GOES_ON, ids=lambda case: str(case.name))
def test_every_fault_leaves_no_wrong_answer_and_as_many_replicas_as_before(case: Case) -> None:
    [row] = measure([case], PITSTOP, 4.0, print)
    assert not row.aborted, row
    assert row.sent > 0
    assert row.wrong == 0, row
    assert row.replicas_back_s is not None, row


@pytest.mark.long
def test_overload_is_turned_away_with_a_time_to_come_again() -> None:
    [row] = measure([case for case in OURS if case.name == "overload-5x"], PITSTOP, 6.0, print)
    assert not row.aborted, row
    assert row.wrong == 0, row
    assert row.figures["refused"] > 0, row
    assert row.figures["refused"] == row.figures["refused_with_retry_after"], row
