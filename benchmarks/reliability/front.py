"""What stands in front of the replicas: HAProxy or Ray's proxy killed, a replica stopped, and what the probe says."""

import contextlib
import math
import os
import signal
import threading
from collections import Counter
from dataclasses import replace
from functools import partial
from typing import Any

import requests

from .case import RATE_RPS, Case, disturbed, steady
from .faults import GUARDED, is_replaced
from .rollouts import failed_parity, new_weights
from .server_under_test import PITSTOP, ServerUnderTest

_LOAD = f"{RATE_RPS:.0f} requests/s"
_MOST_S = 180.0
_ASK_EVERY_S = 0.1


def front(tested: ServerUnderTest, seconds: float) -> dict[str, Any]:
    """Kill what the clients connect to."""
    before = _fronts(tested)

    def fault() -> None:
        for pid in before:
            os.kill(pid, signal.SIGKILL)

    def restored() -> bool:
        return bool(_fronts(tested) - before) and tested.answers()

    load = steady(tested)
    found = disturbed(load, fault, restored, seconds, _MOST_S)
    kinds = ", ".join(f"{count} {kind}" for kind, count in load.errors.items())
    return {**found, "note": kinds or "nobody noticed"}


def _fronts(tested: ServerUnderTest) -> set[int]:
    """Return the processes that listen on the server's HTTP port: HAProxy, or Ray's proxy."""
    wanted = "/haproxy -db" if tested.server == PITSTOP else "ray::ProxyActor"
    return {pid for pid, line in tested.all_pids().items() if wanted in line}


def stopped(tested: ServerUnderTest, seconds: float) -> dict[str, Any]:
    """Stop one replica's process, as a frozen container or a debugger does: it accepts, and never answers."""
    before = tested.replicas()
    restored = partial(is_replaced, tested, before)
    load = steady(tested)
    try:
        found = disturbed(load, lambda: os.kill(before[0].pid, signal.SIGSTOP), restored, seconds, _MOST_S)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.kill(before[0].pid, signal.SIGCONT)
    return {**found, "note": f"the last to fail was due {load.recovered_s(math.inf):.1f} s later"}


class _Probe(threading.Thread):
    """Asks whether the server is ready, as a load balancer does, until it is told to stop."""

    def __init__(self, tested: ServerUnderTest) -> None:
        super().__init__(daemon=True)
        self._url = f"http://127.0.0.1:{tested.port}/v2/health/ready"
        self._over = threading.Event()
        self.seen: Counter[str] = Counter()

    def run(self) -> None:
        while not self._over.wait(_ASK_EVERY_S):
            try:
                self.seen[str(requests.get(self._url, timeout=10).status_code)] += 1
            except requests.RequestException as error:
                self.seen[type(error).__name__] += 1

    def stop(self) -> None:
        self._over.set()
        self.join()


def health(tested: ServerUnderTest, seconds: float) -> dict[str, Any]:
    """Roll out one good version and one that is refused, and ask all the while whether the server is ready."""
    probe = _Probe(tested)
    probe.start()
    try:
        good, refused = new_weights(tested, seconds), failed_parity(tested, seconds)
    finally:
        probe.stop()
    no = sum(probe.seen.values()) - probe.seen["200"]
    sums = {key: good[key] + refused[key] for key in ("sent", "failed", "retried")}
    # Not ready, while requests are answered, is a wrong answer.
    return {
        **refused,
        **sums,
        "wrong": good["wrong"] + refused["wrong"] + no,
        "note": f"asked {sum(probe.seen.values())} times, not ready {no} times; {refused['note']}",
        "figures": {"probes": dict(probe.seen)},
    }


STOPPED = replace(GUARDED, deployment={**GUARDED.deployment, "health_check_timeout_s": 5})

CASES = (
    Case("front-killed", "front killed: HAProxy, or Ray's own proxy", _LOAD, front, GUARDED),
    Case("stopped-replica", "one of two replicas stopped with SIGSTOP", _LOAD, stopped, STOPPED),
    Case("health-ready", "health ready while serving: a rollout, and one refused", _LOAD, health, GUARDED, (PITSTOP,)),
)
