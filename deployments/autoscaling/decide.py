"""Computes the number of replicas needed from the reports of those that run. Pure: no Ray, no clock, no state."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

# Beyond this load a queue grows with every burst that is a little longer than average.
MOST_LOAD = 0.8
# Half of ln 100: with it at most one row in a hundred waits longer than the target (see `most_load`).
_ONE_IN_A_HUNDRED = 2.3


@dataclass(frozen=True)
class Load:
    """What one replica reports, averaged over the look-back period.

    Attributes:
        rows_waiting: rows admitted that no forward has taken.
        rows_running: rows inside a forward.
        rows_per_s: rows that arrived, including those that were refused because the queue was full.
        loop_share: how much of a core the event loop used, 0 to 1.
        started_s: how long it took to start.
        forward_ms: the time from one forward to the next, by rows, as measured now.
    """

    rows_waiting: float
    rows_running: float
    rows_per_s: float
    loop_share: float
    started_s: float
    forward_ms: Mapping[int, float]


def needed(loads: Sequence[Load], target_queue_ms: float, waiting_elsewhere: float = 0) -> float:
    """Return how many replicas keep the queue within the target; a fraction, for the caller to round up.

    The largest of three needs: to keep up with the rows that arrive, to work off those that wait, and to read requests.

    Args:
        loads: the reports of the running replicas, at least one.
        target_queue_ms: how long a row may wait until its forward begins.
        waiting_elsewhere: rows that wait ahead of all replicas, as in Ray's own proxy.
    """
    coming = sum(load.rows_per_s for load in loads)
    ahead = waiting_elsewhere + sum(load.rows_waiting + load.rows_running for load in loads)
    if coming <= 0 and ahead <= 0:
        return 0.0
    rate = sum(rate_within(load.forward_ms, target_queue_ms) for load in loads) / len(loads)
    allowed = rate * target_queue_ms / 1000
    keep_up = coming / (rate * most_load(allowed))
    read = sum(load.loop_share for load in loads) / MOST_LOAD
    excess = ahead - allowed * len(loads)
    return max(keep_up, read, _work_off(coming, excess, rate, loads) if excess > 0 else 0)


def _work_off(coming: float, excess: float, rate: float, loads: Sequence[Load]) -> float:
    """Return how many replicas bring a queue that is too long back to the target: at least one more than run.

    They must work it off, beside the rows that arrive, within the time that a replica takes to start: more replicas
    would be ready only when the queue is gone.
    """
    start_s = max(1.0, *(load.started_s for load in loads))
    return max(len(loads) + 1, (coming + excess / start_s) / rate)


def rate_within(forward_ms: Mapping[int, float], target_queue_ms: float) -> float:
    """Return the rows a second of one device at its best batch size whose forward fits the target.

    The next batch waits for the one that runs, so a forward longer than the target misses it by itself. If even the
    smallest batch takes longer, its rate is returned: the target cannot be met, and the policy says so.
    """
    fitting = {rows: ms for rows, ms in forward_ms.items() if ms <= target_queue_ms}
    if not fitting:
        smallest = min(forward_ms)
        fitting = {smallest: forward_ms[smallest]}
    return max(1000 * rows / ms for rows, ms in fitting.items())


def most_load(allowed_rows: float) -> float:
    """Return the share of its rate at which a replica may be loaded, 0 to MOST_LOAD.

    Rows that come at random wait longer than t with a chance of about exp(-2 (1 - load) / load x t / s), where s is the
    time of one (M/D/1 under load). With that set to 1 in 100, and `allowed_rows` = t / s, this is solved for the load:
    a target of a single forward allows little load, one of many rows a lot.
    """
    return min(MOST_LOAD, allowed_rows / (allowed_rows + _ONE_IN_A_HUNDRED))
