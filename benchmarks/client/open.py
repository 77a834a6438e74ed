"""Open loop: requests are sent when they are due, whether or not earlier ones have been answered.

Latency counts from the time a request was due. Were it counted from the sending, a server that stalls would be asked
less while it stalls, and the stall would be missing from the figures (Gil Tene's coordinated omission).
"""

from collections.abc import Sequence
from time import perf_counter

from .closed import DRAIN_S
from .connection import Address
from .pool import Pool
from .sample import Sample

_IDLE_S = 0.05


def opened(address: Address, requests: Sequence[bytes], schedule: Sequence[float], connections: int) -> Sample:
    """Send a request at each of the scheduled times, in seconds from the start.

    Where all connections are busy a due request waits here for one, and its latency goes on counting.
    """
    sample, sent, answered, total = Sample(), 0, 0, len(schedule)
    with Pool(address, connections) as pool:
        idle = list(pool.connections)
        start = perf_counter() + _IDLE_S
        give_up = schedule[-1] + DRAIN_S if schedule else 0.0
        while answered < total:
            now = perf_counter() - start
            if now > give_up:
                sample.errors["no answer"] += total - answered
                break
            while sent < total and idle and schedule[sent] <= now:
                connection = idle.pop()
                connection.started = schedule[sent]
                pool.send(connection, requests[sent % len(requests)])
                sample.late_s.append(now - schedule[sent])
                sent += 1
            timeout_s = schedule[sent] - (perf_counter() - start) if sent < total and idle else _IDLE_S
            for connection, error in pool.finished(timeout_s, exact=True):
                now = perf_counter() - start
                sample.add(now, now - connection.started, error)
                idle.append(connection)
                answered += 1
    return sample
