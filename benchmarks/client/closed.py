"""Closed loop: each connection sends its next request as soon as it has its answer."""

import itertools
from collections.abc import Iterator, Sequence
from time import perf_counter

from .connection import Address
from .pool import Pool
from .sample import Sample

DRAIN_S = 60.0


def closed(
    address: Address,
    requests: Sequence[bytes],
    connections: int,
    seconds: float,
    count: int = 1 << 62,
    at_least: int = 0,
) -> Sample:
    """Drive a server in closed loop.

    Args:
        address: where it listens.
        requests: what to send, in turn.
        connections: how many, each with one request under way.
        seconds: how long new requests are sent.
        count: how many requests are sent at most.
        at_least: how many answers there must be before the time counts as over; a large batch may outlast it.

    Returns:
        Every answer, also those to the last requests, which come after `sample.over_s`.
    """
    sample = Sample()
    with Pool(address, connections) as pool:
        unanswered = _drive(pool, itertools.cycle(requests), sample, seconds, count, at_least)
    enough_s = sample.finished_s[at_least - 1] if 0 < at_least <= len(sample.finished_s) else 0.0
    sample.over_s = max(seconds, enough_s)
    if unanswered:
        sample.errors["no answer"] += unanswered
    return sample


def _drive(pool: Pool, stream: Iterator[bytes], sample: Sample, seconds: float, count: int, at_least: int) -> int:
    """Send and receive until it is over and all answers are in; return how many never came."""
    start = perf_counter()
    end, under_way = start + seconds, 0
    for connection in pool.connections[:count]:
        connection.started = perf_counter()
        pool.send(connection, next(stream))
        under_way += 1
    left = count - under_way
    while under_way and perf_counter() < end + DRAIN_S:
        for connection, error in pool.finished(1.0):
            now = perf_counter()
            sample.add(now - start, now - connection.started, error)
            if left and (now < end or len(sample.latency_s) < at_least):
                connection.started = now
                pool.send(connection, next(stream))
                left -= 1
            else:
                under_way -= 1
    return under_way
