"""What takes many processes at once: a node of the cluster, and the head with all it knows."""

import time
from typing import Any

from pitstop import processes

from .case import RATE_RPS, Case, disturbed, steady
from .faults import GUARDED
from .nodes import Clustered
from .server_under_test import ServerError, ServerUnderTest, again, until
from .service import ServiceOptions

_LOAD = f"{RATE_RPS:.0f} requests/s"
_NODE_S = 90.0
_HEAD_S = 120.0


def node(tested: ServerUnderTest, seconds: float) -> dict[str, Any]:
    """Lose the node of one of the replicas; there is room for it on the other."""
    assert isinstance(tested, Clustered)
    before = tested.replicas()
    there = {each.node for each in before}
    if len(there) < 2:
        raise ServerError("both replicas are on one node: with it all would be lost")
    lost = before[0].node

    def restored() -> bool:
        found = tested.replicas()
        return len(found) >= len(before) and lost not in {each.node for each in found}

    found = disturbed(steady(tested), lambda: tested.lose(lost), restored, seconds, _NODE_S)
    return {**found, "note": f"replicas on {len(there)} nodes; {found['under_way']} under way when it came"}


def head(tested: ServerUnderTest, seconds: float) -> dict[str, Any]:
    """Lose every process, and start anew at once, as a supervisor does. Ray keeps nothing without a GCS that does."""
    began_s = 0.0

    def fault() -> None:
        nonlocal began_s
        processes.kill(tested.all_pids())
        began_s = time.monotonic()
        again(tested)
        until(tested.answers, _HEAD_S)
        began_s = time.monotonic() - began_s

    found = disturbed(
        steady(tested), fault, lambda: len(tested.replicas()) >= tested.options.replicas, seconds, _HEAD_S
    )
    return {**found, "note": f"first answer {began_s:.0f} s after it was started again"}


CLUSTERED = ServiceOptions(nodes=2, user_config=GUARDED.user_config, deployment=GUARDED.deployment)

CASES = (
    Case("lost-node", "one of two nodes with a replica each is lost", _LOAD, node, CLUSTERED),
    Case("lost-head", "every process is lost, and `serve run` started again", _LOAD, head, GUARDED),
)
