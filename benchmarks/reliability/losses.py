"""What takes many processes at once: a node of the cluster, and the head with all it knows."""

import time
from typing import Any

from pitstop import processes

from .case import RATE_RPS, Case, disturbed, steady
from .faults import GUARDED
from .nodes import Clustered
from .service import Wish
from .stand import Stand, StandError, again, until

_LOAD = f"{RATE_RPS:.0f} requests/s"
_NODE_S = 90.0
_HEAD_S = 120.0


def node(stand: Stand, seconds: float) -> dict[str, Any]:
    """Lose the node of one of the replicas; there is room for it on the other."""
    assert isinstance(stand, Clustered)
    before = stand.replicas()
    there = {each.node for each in before}
    if len(there) < 2:
        raise StandError("both replicas are on one node: with it all would be lost")
    lost = before[0].node

    def restored() -> bool:
        found = stand.replicas()
        return len(found) >= len(before) and lost not in {each.node for each in found}

    found = disturbed(steady(stand), lambda: stand.lose(lost), restored, seconds, _NODE_S)
    return {**found, "note": f"replicas on {len(there)} nodes; {found['under_way']} under way when it came"}


def head(stand: Stand, seconds: float) -> dict[str, Any]:
    """Lose every process, and start anew at once, as a supervisor does. Ray keeps nothing without a GCS that does."""
    began_s = 0.0

    def fault() -> None:
        nonlocal began_s
        processes.kill(stand.all_pids())
        began_s = time.monotonic()
        again(stand)
        until(stand.answers, _HEAD_S)
        began_s = time.monotonic() - began_s

    found = disturbed(steady(stand), fault, lambda: len(stand.replicas()) >= stand.wish.replicas, seconds, _HEAD_S)
    return {**found, "note": f"first answer {began_s:.0f} s after it was started again"}


CLUSTERED = Wish(nodes=2, user_config=GUARDED.user_config, deployment=GUARDED.deployment)

CASES = (
    Case("lost-node", "one of two nodes with a replica each is lost", _LOAD, node, CLUSTERED),
    Case("lost-head", "every process is lost, and `serve run` started again", _LOAD, head, GUARDED),
)
