"""Closed and open loops of prepared requests against one server, by the client of `pitstop load`."""

from collections.abc import Sequence

from pitstop.load.outcome import Sender
from pitstop.load.plan import Plan
from pitstop.load.record import Record
from pitstop.load.run import drive
from pitstop.load.sender_http import Address, HttpSender

_TIMEOUT_S = 60.0


def closed(
    address: Address,
    requests: Sequence[bytes],
    connections: int,
    seconds: float,
    most_sent: int | None = None,
    least_answers: int = 0,
) -> Record:
    """Have each connection send its next request as soon as it has its answer.

    Args:
        address: where the server listens.
        requests: what to send, in turn.
        connections: how many, each with one request under way.
        seconds: how long new requests are sent.
        most_sent: how many are sent at most.
        least_answers: how many must have come before the time counts as over; a large batch may outlast it.

    Returns:
        What was seen, the answers to the last requests too, which come after the time is over.
    """
    plan = Plan(
        connections=connections,
        seconds=seconds,
        warmup_s=0,
        timeout_s=_TIMEOUT_S,
        most_sent=most_sent,
        least_answers=least_answers,
    )
    return _run(HttpSender(address, requests, connections, _TIMEOUT_S), plan, connections)


def opened(
    address: Address, requests: Sequence[bytes], rate_rps: float, seconds: float, seed: int, connections: int
) -> Record:
    """Send requests when they are due by a Poisson process, whether or not earlier ones have been answered."""
    plan = Plan(rate_rps, most=connections, seconds=seconds, warmup_s=0, timeout_s=_TIMEOUT_S, seed=seed)
    return _run(HttpSender(address, requests, connections, _TIMEOUT_S), plan, connections)


def _run(sender: Sender, plan: Plan, connections: int) -> Record:
    record = drive(sender, plan, connections)
    if record.stopped:
        raise KeyboardInterrupt
    return record
