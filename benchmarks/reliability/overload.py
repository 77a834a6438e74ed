"""More requests than a model can do, for as long as one likes: what it still does, and how it turns the rest away."""

import time
from collections.abc import Callable
from functools import partial
from typing import Any

from pitstop.measure.percentiles import percentile

from .case import Case
from .load import Load, loaded
from .questions import Questions
from .ray_serve_app import MAX_ROWS
from .row import counted
from .server_under_test import PITSTOP, RAY_SERVE, ServerUnderTest
from .service import ServiceOptions

# A forward that sleeps: 160 rows a second, so that ten times as much is no more than one client can offer.
OVERLOADED = ServiceOptions(ms=50, replicas=1, max_queue_size=64)
_BEST_CONNECTIONS = 32
_NORMAL = 0.5
_AFTER_S = 8.0
# Connections that a server has accepted and not answered take the place of a queue: more than it may hold anywhere.
_MOST_CONNECTIONS = 2_000


def overloaded(factor: float, tested: ServerUnderTest, seconds: float) -> dict[str, Any]:
    """Offer `factor` times the capacity, then half of it."""
    best_rps = _best(tested, min(6.0, seconds / 2))
    before_mib = tested.memory_mib()
    load = Load(_questions(tested), factor * tested.options.capacity_rps, seed=1, most=_MOST_CONNECTIONS)
    during_mib = []
    with loaded(load):
        ends = time.monotonic() + seconds
        while time.monotonic() < ends:
            time.sleep(1)
            during_mib.append(tested.memory_mib())
        goodput_rps = _answered_rps(load, min(2.0, seconds / 4), seconds)
        after = Load(_questions(tested), _NORMAL * tested.options.capacity_rps, seed=2)
        load.cease()
        with loaded(after):
            after.mark_fault()
            time.sleep(_AFTER_S)
    normal_s = after.recovered_s(slow_s=_usual_s(tested))
    return _row(tested, load, after, best_rps, goodput_rps, [before_mib, *during_mib], normal_s)


def bound_s(options: ServiceOptions) -> float:
    """Return the longest wait that the queue allows: the forward that runs, all that may wait, and one's own."""
    return (options.max_queue_size / MAX_ROWS + 2) * options.ms / 1000


def _row(
    tested: ServerUnderTest,
    load: Load,
    after: Load,
    best_rps: float,
    goodput_rps: float,
    mib: list[float],
    normal_s: float,
) -> dict[str, Any]:
    refusals = load.sender.refusals
    refused = load.errors["HTTP 503"]
    found = counted(load)
    figures = {
        "best_goodput_rps": best_rps,
        "goodput_rps": goodput_rps,
        "accepted_p99_ms": 1000 * percentile(load.record.latency_s, 0.99),
        "bound_ms": bound_s(tested.options) * 1000,
        "refused": refused,
        "refused_with_retry_after": refusals.named_a_time,
        "refused_p50_ms": 1000 * percentile(refusals.took_s, 0.5),
        "refused_p99_ms": 1000 * percentile(refusals.took_s, 0.99),
        "client_late_p99_ms": 1000 * percentile(load.record.late_s, 0.99),
        "memory_before_mib": mib[0],
        "memory_most_mib": max(mib),
        "memory_last_mib": mib[-1],
    }
    return {
        **found,
        "failed": found["failed"] - refusals.named_a_time,
        "wrong": found["wrong"] + after.wrong,
        "recovered_s": normal_s if normal_s < _AFTER_S - 2 else None,
        "figures": figures,
        "note": _note(figures, tested.server),
    }


def _note(figures: dict[str, float], server: str) -> str:
    share = figures["goodput_rps"] / max(figures["best_goodput_rps"], 1e-9)
    p99 = f"p99 of the answered {figures['accepted_p99_ms']:.0f} ms"
    if server == PITSTOP:
        p99 += f" (bound {figures['bound_ms']:.0f}; the client was late by {figures['client_late_p99_ms']:.0f})"
    parts = [
        f"goodput {figures['goodput_rps']:.0f}/s, {share:.0%} of its best",
        p99,
        f"{figures['refused']:.0f} refused in {figures['refused_p50_ms']:.1f} ms (p50)" if figures["refused"] else "",
        f"memory {figures['memory_before_mib']:.0f} → {figures['memory_last_mib']:.0f} MiB",
    ]
    return "; ".join(part for part in parts if part)


def _best(tested: ServerUnderTest, seconds: float) -> float:
    """Return the most answers a second: as many clients as fill batches, each waiting for its answer."""
    load = Load(_questions(tested), None, connections=_BEST_CONNECTIONS)
    with loaded(load):
        time.sleep(seconds)
    return _answered_rps(load, min(1.0, seconds / 4), seconds)


def _questions(tested: ServerUnderTest) -> Questions:
    return Questions(tested.target(), tested.form)


def _answered_rps(load: Load, from_s: float, to_s: float) -> float:
    """Return the answers a second that came between two moments."""
    due, took = list(load.record.due_s), list(load.record.latency_s)
    # A timeout has a latency too, and is no answer.
    ended = [at + wait for at, wait in zip(due, took, strict=False) if wait < load.plan.timeout_s]
    return sum(from_s <= at <= to_s for at in ended) / (to_s - from_s)


def _usual_s(tested: ServerUnderTest) -> float:
    """Return what an answer takes at most at half the load: some forwards, and what two busy cores add."""
    return 4 * tested.options.ms / 1000 + 0.1


def _case(factor: int, servers: tuple[str, ...]) -> Case:
    measure: Callable[[ServerUnderTest, float], dict[str, Any]] = partial(overloaded, float(factor))
    rate = factor * OVERLOADED.capacity_rps
    return Case(
        f"overload-{factor}x",
        f"{factor} times the capacity",
        f"{rate:,.0f} requests/s, capacity {OVERLOADED.capacity_rps:.0f}",
        measure,
        OVERLOADED,
        servers,
        least_s=60.0,
    )


# Ray Serve only at the worst: each takes a minute, and there is no queue whose length would make a difference.
CASES = (_case(2, (PITSTOP,)), _case(5, (PITSTOP,)), _case(10, (PITSTOP, RAY_SERVE)))
