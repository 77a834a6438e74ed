"""One server under one workload: verified, warmed, driven in closed loop and then in open loop at its own capacity."""

import gc
import time
from collections.abc import Callable
from statistics import mean

from pitstop.loading.schedule import poisson

from . import venvs
from .client.closed import closed
from .client.connection import Address
from .client.open import opened
from .client.sample import Sample
from .device import chosen, utilisation
from .peers import Peer
from .results import Closed, Measured, Open
from .server import NotMeasuredError, Server, running
from .summary import closed_round, middle, open_round
from .verify import requests_of, verify
from .workloads import Workload

_WARM_S = 2.0
_WARM_SHARE = 0.25
# Answers to each connection that a rate needs at least.
_BATCHES = 2
_OPEN_CONNECTIONS = 256


def measure(peer: Peer, workload: Workload) -> Measured:
    """Return what one start of a server did; where it cannot be measured, the reason in place of figures."""
    batching = peer.batch(workload.name)
    measured = Measured(peer.name, workload.name, peer.settings, batching.max_rows, batching.wait_ms)
    try:
        with running(peer, workload) as server:
            measured.versions = venvs.versions(venvs.python(peer.name.lower(), peer.packages), peer.packages)
            measured.started_s = server.started_s
            _drive(server, workload, measured)
            measured.memory_mib = server.memory_mib()
    except (NotMeasuredError, OSError) as error:
        measured.not_measured = str(error)
    return measured


def _drive(server: Server, workload: Workload, measured: Measured) -> None:
    address: Address = ("127.0.0.1", server.port)
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
            warm_s = _WARM_SHARE * seconds
            sample = _undisturbed(
                closed,
                address,
                requests,
                loop.connections,
                warm_s + seconds,
                at_least=_BATCHES * loop.connections,
            )
            loop.rounds.append(closed_round(sample, warm_s, sample.over_s))
    return loops


def _open_loops(address: Address, workload: Workload, requests: list[bytes], capacity_rps: float) -> list[Open]:
    loops = [Open(load) for load in workload.loads]
    for seed in range(workload.rounds):
        for loop in loops:
            loop.offered_rps.append(loop.load * capacity_rps)
            schedule = list(poisson(loop.offered_rps[-1], workload.open_seconds, seed))
            loop.rounds.append(open_round(_undisturbed(opened, address, requests, schedule, _OPEN_CONNECTIONS)))
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


def _undisturbed(drive: Callable[..., Sample], *arguments: object, **named: object) -> Sample:
    """Run a loop without the garbage collector, and note how much of a core it took, and of the GPU."""
    gc.collect()
    gc.disable()
    wall, cpu = time.perf_counter(), time.process_time()
    try:
        with utilisation(chosen()) as busy:
            sample = drive(*arguments, **named)
            took_s, cpu_s = time.perf_counter() - wall, time.process_time() - cpu
    finally:
        gc.enable()
    sample.cpu_share = cpu_s / took_s
    sample.gpu_busy = mean(busy) if busy else None
    return sample
