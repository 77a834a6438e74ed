"""What breaks by itself: a replica that is killed, hangs, runs out of memory or begins to answer NaN."""

import os
import signal
import time
from typing import Any

from configs.schema import ModelConfig, Tunables

from .case import Case, disturbed, steady
from .model import HANG, NAN, OOM
from .service import Wish
from .stand import Stand

_OOM_S = 5.0
_RETRIES = 5


def killed(stand: Stand, seconds: float, retries: int = 0) -> dict[str, Any]:
    """Kill one replica. All that may fail is what is under way on it."""
    before = stand.replicas()
    load = steady(stand, retries=retries)

    def restored() -> bool:
        found = stand.replicas()
        return len(found) >= len(before) and before[0].pid not in {each.pid for each in found}

    found = disturbed(load, lambda: os.kill(before[0].pid, signal.SIGKILL), restored, seconds)
    return {**found, "note": f"{found['under_way']} under way on both replicas when it came"}


def killed_and_retried(stand: Stand, seconds: float) -> dict[str, Any]:
    found = killed(stand, seconds, _RETRIES)
    return {**found, "note": f"{found['retried']} sent again by the client"}


def hung(stand: Stand, seconds: float) -> dict[str, Any]:
    """Have one forward never return."""
    return _replaced(stand, HANG, seconds)


def not_a_number(stand: Stand, seconds: float) -> dict[str, Any]:
    """Have one replica answer NaN from now on."""
    return _replaced(stand, NAN, seconds)


def _replaced(stand: Stand, kind: str, seconds: float) -> dict[str, Any]:
    before = {each.pid for each in stand.replicas()}

    def restored() -> bool:
        found = {each.pid for each in stand.replicas()}
        return len(found) >= len(before) and found != before

    return disturbed(steady(stand), lambda: stand.trouble(kind), restored, seconds)


def out_of_memory(stand: Stand, seconds: float) -> dict[str, Any]:
    """Have every forward of more than one row run out of memory, for some seconds."""

    def fault() -> None:
        path = stand.trouble(OOM)
        time.sleep(min(_OOM_S, seconds / 3))
        path.unlink()

    count = len(stand.replicas())
    found = disturbed(steady(stand, rate_rps=2 * 100.0), fault, lambda: len(stand.replicas()) >= count, seconds)
    return {**found, "note": f"memory is short for {min(_OOM_S, seconds / 3):g} s of it"}


def _known(**keys: Any) -> dict[str, Any]:
    return {key: value for key, value in keys.items() if key in ModelConfig.model_fields}


def _tunable(**keys: Any) -> dict[str, Any]:
    return {key: value for key, value in keys.items() if key in Tunables.model_fields}


GUARDED = Wish(args=_known(hang_s=2, check_outputs=True), user_config=_tunable(hang_s=2, check_outputs=True))

CASES = (
    Case("killed-replica", "one of two replicas killed with SIGKILL", "100 requests/s", killed, GUARDED),
    Case(
        "killed-replica-retries",
        f"the same, the client with `--retries {_RETRIES}`",
        "100 requests/s",
        killed_and_retried,
        GUARDED,
    ),
    Case("out-of-memory", "forwards of more than one row run out of memory", "200 requests/s", out_of_memory, GUARDED),
    Case("nan", "one of two replicas begins to answer NaN", "100 requests/s", not_a_number, GUARDED),
    Case("hung-forward", "a forward of one of two replicas never returns", "100 requests/s", hung, GUARDED),
)
