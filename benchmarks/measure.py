"""One server under one workload: verified, warmed, driven in closed loop and then in open loop at its own capacity."""

import gc
from collections.abc import Callable
from functools import partial
from statistics import mean

from pitstop.load.record import Record
from pitstop.load.sender_http import Address

from . import venvs
from .device import chosen, utilisation
from .loops import closed, opened
from .peers import Peer
from .results import Closed, Measured, Open
from .server import NotMeasuredError, Server, running
from .summary import closed_round, ended, middle, open_round
from .verify import requests_of, verify
from .workloads import Workload

_WARM_S = 2.0
_WARM_SHARE = 0.25
# Answers to each connection that a rate needs at least.
_BATCHES = 2
_OPEN_CONNECTIONS = 256


def measure(peer: Peer, workload: Workload, look: Callable[[Server], None] | None = None) -> Measured:
    """Return what one start of a server did; where it cannot be measured, the reason in place of figures.

    `look` is called once the server has been driven.
    """
    batching = peer.batch(workload.name)
    measured = Measured(peer.name, workload.name, peer.settings, batching.max_batch_size, batching.wait_ms)
    try:
        with running(peer, workload) as server:
            measured.versions = venvs.versions(venvs.python(peer.name.lower(), peer.packages), peer.packages)
            measured.started_s = server.started_s
            _drive(server, workload, measured)
            measured.memory_mib = server.memory_mib()
            if look is not None:
                look(server)
    except (NotMeasuredError, OSError) as error:
        measured.not_measured = str(error)
    return measured


def _drive(server: Server, workload: Workload, measured: Measured) -> None:
    address = Address("127.0.0.1", server.port)
    codec = server.peer.codec(workload)
    requests = requests_of(workload, codec)
    verify(address, workload, codec, requests)
    _follow_memory(server, address, workload, requests, measured)
    closed(address, requests, workload.connections[-1], _WARM_S)
    measured.closed = closed_loops(address, workload, requests)
    capacity_rps = middle(measured.closed[-1].rounds, "rate_rps")
    if not capacity_rps:
        raise NotMeasuredError(f"no answers in closed loop: {dict(measured.closed[-1].rounds[0].errors)}")
    measured.open = _open_loops(address, workload, requests, capacity_rps)


def closed_loops(address: Address, workload: Workload, requests: list[bytes]) -> list[Closed]:
    """Drive a server in closed loop, in rounds that go through all numbers of connections in turn."""
    loops = [Closed(connections) for connections in workload.connections]
    for _ in range(workload.rounds):
        for loop, seconds in zip(loops, workload.seconds, strict=True):
            warm_s, least = _WARM_SHARE * seconds, _BATCHES * loop.connections
            send = partial(closed, address, requests, loop.connections, warm_s + seconds, least_answers=least)
            record, busy = _undisturbed(send)
            over_s = max(warm_s + seconds, *ended(record)[least - 1 : least])
            loop.rounds.append(closed_round(record, warm_s, over_s, busy))
    return loops


def _open_loops(address: Address, workload: Workload, requests: list[bytes], capacity_rps: float) -> list[Open]:
    loops = [Open(load) for load in workload.loads]
    for seed in range(workload.rounds):
        for loop in loops:
            loop.offered_rps.append(loop.load * capacity_rps)
            offered = (loop.offered_rps[-1], workload.open_seconds, seed)
            record, busy = _undisturbed(partial(opened, address, requests, *offered, _OPEN_CONNECTIONS))
            loop.rounds.append(open_round(record, busy))
    return loops


def _follow_memory(
    server: Server, address: Address, workload: Workload, requests: list[bytes], measured: Measured
) -> None:
    """Note the memory of the process that holds the model after so many requests, where the peer names that process."""
    done = len(requests)
    for count in workload.memory_requests if server.peer.watched else ():
        closed(address, requests, workload.connections[-1], 120, count - done)
        done = count
        found = server.watched_mib()
        if found is not None:
            measured.watched_mib[count] = found


def _undisturbed(send: Callable[[], Record]) -> tuple[Record, float | None]:
    """Run a loop without the garbage collector; return what it saw, and how busy the GPU was, where there is one."""
    gc.collect()
    gc.disable()
    try:
        with utilisation(chosen()) as busy:
            record = send()
    finally:
        gc.enable()
    return record, mean(busy) if busy else None
