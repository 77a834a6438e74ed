"""What breaks by itself: a replica that is killed, hangs, runs out of memory or begins to answer NaN."""

import math
import os
import signal
import time
from collections.abc import Sequence
from functools import partial
from typing import Any

from .case import RATE_RPS, Case, disturbed, steady
from .load import Load
from .model import HANG, NAN, OOM, OOM_ROWS
from .questions import Questions
from .server_under_test import PITSTOP, ReplicaProcess, ServerUnderTest
from .service import ServiceOptions

_OOM_S = 5.0
_RETRIES = 5
_LARGE = 8


def killed(tested: ServerUnderTest, seconds: float, retries: int = 0) -> dict[str, Any]:
    """Kill one replica. All that may fail is what is under way on it.

    That is more than was so at the kill: until the kernel has taken down its memory, its sockets go on accepting.
    """
    before = tested.replicas()
    load = steady(tested, retries=retries)
    restored = partial(is_replaced, tested, before)
    found = disturbed(load, lambda: os.kill(before[0].pid, signal.SIGKILL), restored, seconds)
    last_s = load.recovered_s(math.inf)
    note = f"{found['under_way']} under way when it came; the last to fail was due {last_s * 1000:.0f} ms later"
    return {**found, "note": note, "figures": {"last_failed_s": last_s}}


def killed_and_retried(tested: ServerUnderTest, seconds: float) -> dict[str, Any]:
    found = killed(tested, seconds, _RETRIES)
    return {**found, "note": f"{found['retried']} sent again by the client"}


def is_replaced(tested: ServerUnderTest, before: Sequence[ReplicaProcess]) -> bool:
    """Whether as many replicas serve as before, and the first of those is not among them."""
    found = tested.pids()
    return len(found) >= len(before) and before[0].pid not in found


def misbehaving(kind: str, tested: ServerUnderTest, seconds: float) -> dict[str, Any]:
    """Have one replica misbehave until another has taken its place: see model.SlowLine."""
    before = tested.pids()

    def restored() -> bool:
        found = tested.pids()
        return len(found) >= len(before) and found != before

    return disturbed(steady(tested), lambda: tested.trouble(kind), restored, seconds)


def out_of_memory(tested: ServerUnderTest, seconds: float) -> dict[str, Any]:
    """Have every forward of more than OOM_ROWS rows run out of memory, for some seconds."""
    lasts_s = min(_OOM_S, seconds / 3)

    def fault() -> None:
        path = tested.trouble(OOM)
        time.sleep(lasts_s)
        path.unlink()

    if tested.server == PITSTOP:
        load = Load(Questions(tested.target(), tested.form, rows=_LARGE), RATE_RPS / 5)
    else:
        # Only company fills its batches.
        load = steady(tested, rate_rps=RATE_RPS * 3)
    count = len(tested.replicas())
    found = disturbed(load, fault, lambda: len(tested.replicas()) >= count, seconds)
    return {**found, "note": f"memory is short for {lasts_s:.0f} s"}


# What docs/health.md advises where seconds count.
GUARDED = ServiceOptions(
    user_config={"forward_timeout_s": 2, "check_finite": True}, deployment={"health_check_period_s": 2}
)
_LOAD = f"{RATE_RPS:.0f} requests/s"

CASES = (
    Case("killed-replica", "one of two replicas killed with SIGKILL", _LOAD, killed, GUARDED),
    Case(
        "killed-replica-retries",
        f"the same, the client with `--retries {_RETRIES}`",
        _LOAD,
        killed_and_retried,
        GUARDED,
    ),
    Case(
        "out-of-memory",
        f"forwards of more than {OOM_ROWS} rows run out of memory",
        f"{RATE_RPS / 5:.0f} requests/s of {_LARGE} rows; Ray Serve {RATE_RPS * 3:.0f} of one",
        out_of_memory,
        GUARDED,
    ),
    Case("nan", "one of two replicas begins to answer NaN", _LOAD, partial(misbehaving, NAN), GUARDED),
    Case("hung-forward", "a forward of one of two replicas never returns", _LOAD, partial(misbehaving, HANG), GUARDED),
)
