"""Whether this replica's device and model work. All on the event loop.

A batch with an answer in it proves that they do. If there was none since the last check, and at once if a whole batch
failed, the known-good row of the start is run. Only this row makes a replica unhealthy: if failed requests could, one
client with bad inputs could have every replica restarted.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any

from models.runtime.memory import is_out_of_memory

from ..batching.batch_result import BatchResult
from ..batching.memory_limit import MemoryLimit
from ..core.errors import InferenceFailed, OutOfMemory
from .probe import Unhealthy

AGAIN_S = 1.0
# Short, since a replica that refuses at once looks idle to HAProxy, which then sends it more than its share.
SICK_AGAIN_S = 0.25
FAILURES_TO_END = 3
_log = logging.getLogger("pitstop")


class Health:
    """Tracks whether the replica is healthy. `why`: the reason why it is not, else None."""

    def __init__(
        self,
        probe: Callable[[], Awaitable[None]],
        hang_s: Callable[[], float],
        memory_limit: MemoryLimit,
        set_closed: Callable[[bool], None],
        end: Callable[[str], None],
    ) -> None:
        """`probe` runs the known-good row, `set_closed` refuses requests or admits them, `end` ends the process."""
        self._probe = probe
        self._hang_s = hang_s
        self._memory_limit = memory_limit
        self._set_closed = set_closed
        self._end = end
        self._proved = False
        self._proof: asyncio.Future[None] | None = None
        self._finding: asyncio.Task[None] | None = None
        self._suspicion: asyncio.Task[None] | None = None
        self._failures = 0
        self.why: str | None = None
        self.probes = 0

    def ran(self, ran: BatchResult) -> None:
        """Learn from a batch: any answer proves health; a batch in which every request failed asks for a probe."""
        kinds = [type(answer) for _, answer in ran.answers]
        if any(not issubclass(kind, Exception) for kind in kinds):
            self._proved = True
            if self._proof is not None and not self._proof.done():
                self._proof.set_result(None)
        elif any(issubclass(kind, InferenceFailed) and not issubclass(kind, OutOfMemory) for kind in kinds):
            self._suspect()

    async def check(self) -> None:
        """Serve calls this once a period; raise Unhealthy if this replica should be replaced."""
        if self.why is not None or not self._proved:
            await self._find_out()
        self._proved = False
        if self.why is not None:
            raise Unhealthy(self.why)

    @property
    def out_of_memory(self) -> int:
        """Forwards that ran out of the device's memory."""
        return self._memory_limit.misses

    def as_json(self) -> dict[str, Any]:
        """Return its part of /stats."""
        return {
            "unhealthy": self.why,
            "probes": self.probes,
            "out_of_memory": self.out_of_memory,
            "rows_that_fit": self._memory_limit.rows,
        }

    def _suspect(self) -> None:
        """Probe now, and again until the replica is healthy; one at a time, and while healthy one a second at most."""
        if self._suspicion is None or self._suspicion.done():
            self._suspicion = asyncio.get_running_loop().create_task(self._make_sure())

    async def _make_sure(self) -> None:
        await self._find_out()
        while self.why is not None:
            await asyncio.sleep(SICK_AGAIN_S)
            await self._find_out()
        await asyncio.sleep(AGAIN_S)

    async def _find_out(self) -> None:
        """Probe, or wait for the probe that is under way."""
        if self._finding is None or self._finding.done():
            self._finding = asyncio.get_running_loop().create_task(self._run())
        await asyncio.shield(self._finding)

    async def _run(self) -> None:
        """Run the row; a batch's answer ends the wait too, and under load it may come first."""
        loop = asyncio.get_running_loop()
        proof = self._proof = loop.create_future()
        probe = asyncio.ensure_future(self._probe())
        self.probes += 1
        waited_s = self._hang_s()
        done, _ = await asyncio.wait({probe, proof}, timeout=waited_s, return_when=asyncio.FIRST_COMPLETED)
        if probe in done:
            self._judge(probe.exception())
        else:
            probe.add_done_callback(_heard)
            self._judge(None if done else TimeoutError(f"the device has not run one row within {waited_s:g} s"))

    def _judge(self, error: BaseException | None) -> None:
        if error is None:
            if self.why is not None:
                _log.warning("the known-good row passes again")
                self._set_closed(False)
            self.why, self._failures = None, 0
            return
        self.why = str(error) if isinstance(error, Unhealthy | TimeoutError) else _described(error)
        _log.error("the replica is not well: %s", self.why, exc_info=error)
        # Memory may become free again, and the watchdog ends a hang: Serve's own count of failed checks handles both.
        if is_out_of_memory(error) or isinstance(error, TimeoutError):
            return
        self._set_closed(True)
        self._failures += 1
        if self._failures == FAILURES_TO_END:
            self._end(f"the known-good row failed {FAILURES_TO_END} times in a row")


def _described(error: BaseException) -> str:
    return f"the known-good row of the start now fails ({type(error).__name__})"


def _heard(probe: asyncio.Future[None]) -> None:
    """Retrieve a late probe's exception, or asyncio would log that nobody did."""
    if not probe.cancelled():
        probe.exception()
