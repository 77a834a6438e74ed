"""Runs a plan: decides when each request is sent and notes how it ended.

Open loop sends when a request is due, whatever became of those before. Latency counts from the time it was due: were it
counted from the sending, a server that stalls would be asked less meanwhile, and its stall would be missing.
"""

import asyncio
import time
from functools import partial

from .clock import now
from .outcome import CONNECTION, Failure, Sender
from .plan import Plan
from .record import Record
from .retry import wait_s
from .schedule import poisson

_LAG_EVERY_S = 0.01
# A closed loop would else ask a server that is gone many thousand times a second.
_PAUSE_S = 0.05


class Drive:
    """One run. `record` may be looked at while it goes on."""

    def __init__(self, plan: Plan, sender: Sender) -> None:
        self.record = Record()
        self._plan = plan
        self._sender = sender
        self._start = 0.0
        self._sent = 0
        self._open_slots = 0
        self._due: dict[int, float] = {}
        self._over = asyncio.Event()
        self._arrivals = poisson(plan.rate_rps, plan.end_s, plan.seed) if plan.rate_rps else None
        self._next_due: float | None = None

    async def run(self) -> Record:
        """Return once every request has been answered or given up, or `stop` was called."""
        loop = asyncio.get_running_loop()
        cpu, self._start = time.process_time(), now()
        lag = loop.create_task(self._watch_lag())
        if self._arrivals is not None:
            self._next_due = next(self._arrivals, None)
            self._send_due()
        else:
            self._open_slots = self._plan.connections
            for _ in range(self._plan.connections):
                self._send_again()
        await self._over.wait()
        lag.cancel()
        self.record.took_s = now() - self._start
        self.record.cpu_share = (time.process_time() - cpu) / max(self.record.took_s, 1e-9)
        self.record.queued = self._sender.queued
        return self.record

    def stop(self) -> None:
        """End the run at once; what has not been answered is counted as such."""
        self.record.stopped = True
        self.record.unanswered = len(self._due)
        if self._due:
            self.record.oldest_unanswered_s = now() - self._start - min(self._due.values())
        self._over.set()

    def cease(self) -> None:
        """Send nothing new in open loop; the run ends once what is under way has been answered."""
        self._arrivals, self._next_due = iter(()), None
        if not self._due:
            self._over.set()

    @property
    def under_way(self) -> int:
        """How many requests have neither been answered nor given up."""
        return len(self._due)

    @property
    def waited_s(self) -> float:
        """For how long the request that was sent first of those under way has been."""
        first = next(iter(self._due.values()), None)
        return 0.0 if first is None else self.elapsed_s - first

    @property
    def elapsed_s(self) -> float:
        return now() - self._start if self._start else 0.0

    def _send_due(self) -> None:
        assert self._arrivals is not None
        while self._next_due is not None and self._next_due <= (time_s := now() - self._start):
            self.record.late_s.append(time_s - self._next_due)
            self._send(self._next_due)
            self._next_due = next(self._arrivals, None)
        if self._over.is_set():
            return
        if self._next_due is not None:
            asyncio.get_running_loop().call_at(self._start + self._next_due, self._send_due)
        elif not self._due:
            self._over.set()

    def _send_again(self) -> None:
        """Send the next request of one connection in closed loop."""
        time_s = now() - self._start
        if time_s < self._plan.end_s and not self._over.is_set():
            self._send(time_s)
            return
        self._open_slots -= 1
        if not self._open_slots:
            self._over.set()

    def _send(self, due_s: float) -> None:
        number = self._sent
        self._sent += 1
        self._due[number] = due_s
        self._sender.send(number, partial(self._ended, number, 0))

    def _ended(self, number: int, tried: int, failure: Failure | None) -> None:
        if self._over.is_set():
            return
        loop = asyncio.get_running_loop()
        if failure is not None and tried < self._plan.retries and (wait := wait_s(failure, tried)) is not None:
            self.record.retried += 1
            loop.call_later(wait, self._sender.send, number, partial(self._ended, number, tried + 1))
            return
        due_s = self._due.pop(number)
        self.record.add(due_s, now() - self._start - due_s, failure)
        if self._arrivals is None:
            if failure is not None and failure.kind in CONNECTION:
                loop.call_later(_PAUSE_S, self._send_again)
            else:
                self._send_again()
        elif self._next_due is None and not self._due:
            self._over.set()

    async def _watch_lag(self) -> None:
        while True:
            due = now() + _LAG_EVERY_S
            await asyncio.sleep(_LAG_EVERY_S)
            self.record.lag_s.append(now() - due)
