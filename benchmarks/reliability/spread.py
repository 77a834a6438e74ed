"""Rollouts, scaling and a lost node on three nodes, each with a HAProxy of its own that is asked all the while.

HAProxy on one node may learn later than on another that a replica is gone (ray-project/ray#65698). So each row is there
with Ray's own shortest drain, 30 s, and with shorter ones.
"""

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from typing import Any

import requests

from .case import RATE_RPS, Case, steady
from .load import Load, loaded
from .losses import node
from .nodes import Clustered
from .rollouts import new_weights, scaled
from .row import counted
from .server_under_test import PITSTOP, ServerError, ServerUnderTest, until
from .service import ServiceOptions

_DRAINS_S = (1.0, 5.0, 30.0)
_ROUTES_S = 60.0
_OTHERS_RPS = RATE_RPS / 4
_LOAD = f"{RATE_RPS:.0f} requests/s at the head, {_OTHERS_RPS:.0f} at each other node"
Measure = Callable[[ServerUnderTest, float], dict[str, Any]]
SPREAD = ServiceOptions(
    nodes=2,
    every_node=True,
    # Not GUARDED: three nodes that start replicas on one machine hold a healthy event loop up for longer than its 2 s.
    deployment={"graceful_shutdown_timeout_s": 60},
)


def everywhere(measure: Measure) -> Measure:
    """Return a measure with load also at the other nodes' HAProxies; what they lose is lost."""

    def measured(tested: ServerUnderTest, seconds: float) -> dict[str, Any]:
        assert isinstance(tested, Clustered)
        # The node that will be lost takes its own HAProxy along, and nothing is to be learnt from that.
        lost = tested.replicas()[0].node if measure is node else None
        others = [_at(tested, port) for name, port in tested.fronts.items() if name != lost]
        if not until(lambda: all(_knows(load) for load in others), _ROUTES_S):
            raise ServerError("a node's HAProxy does not know the model")
        with ExitStack() as over:
            for load in others:
                over.enter_context(loaded(load))
            found = measure(tested, seconds)
        found["figures"] = {**found.get("figures", {}), "head_failed": found["failed"]}
        for load in others:
            for key, value in counted(load).items():
                if key in ("sent", "failed", "wrong", "retried"):
                    found[key] += value
        note = f"{len(others) + 1} HAProxies asked"
        return {**found, "note": f"{found.get('note', '')}; {note}".removeprefix("; ")}

    return measured


def _knows(load: Load) -> bool:
    try:
        return requests.get(f"{load.questions.target.url}/ready", timeout=2).ok
    except requests.RequestException:
        return False


def _at(tested: ServerUnderTest, port: int) -> Load:
    target = tested.target()
    there = replace(
        target, url=target.url.replace(f":{tested.port}/", f":{port}/"), address=target.address._replace(port=port)
    )
    return steady(tested, (1, 2), _OTHERS_RPS, target=there)


def _rows() -> tuple[Case, ...]:
    found = []
    for drain_s in _DRAINS_S:
        options = replace(SPREAD, drain_s=drain_s)
        for name, fault, measure in (
            ("new-weights", "new weights rolled out on three nodes", new_weights),
            ("scale-down", "scaled to one replica and back on three nodes", scaled),
            ("lost-node", "one of three nodes is lost", node),
        ):
            said = f"{fault}, shortest drain {drain_s:g} s"
            # After scaling, both replicas may be on one node, and with that node all would be lost.
            fresh = measure is node
            row = f"{name}-drain-{drain_s:g}"
            found.append(Case(row, said, _LOAD, everywhere(measure), options, (PITSTOP,), fresh=fresh))
    return tuple(found)


CASES = _rows()
