"""Runs a plan: decides when each request is sent and notes how it ended.

Open loop sends when a request is due, whatever became of those before. Latency counts from the time it was due: were it
counted from the sending, a server that stalls would be asked less meanwhile, and its stall would be missing.
"""

import asyncio
import sys
import time

from ..measure.arrivals import poisson
from .clock import Alarm, now
from .outcome import CONNECTION, Failure, Sender
from .plan import Plan
from .record import Record
from .retry import wait_s

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
        self._tried: dict[int, int] = {}
        self._over, self._is_over = asyncio.Event(), False
        self._most_sent = plan.most_sent if plan.most_sent is not None else sys.maxsize
        self._arrivals = poisson(plan.rate_rps, plan.end_s, plan.seed) if plan.rate_rps else None
        self._next_due: float | None = None
        self._lag_due = 0.0

    async def run(self) -> Record:
        """Return once every request has been answered or given up, or `stop` was called."""
        self._alarm, self._lag_alarm = Alarm(self._send_due), Alarm(self._note_lag)
        cpu, self._start = time.process_time(), now()
        try:
            self._watch_lag()
            self._begin()
            await self._over.wait()
        finally:
            self._alarm.close()
            self._lag_alarm.close()
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
        self._end()

    def cease(self) -> None:
        """Send nothing new in open loop; the run ends once what is under way has been answered."""
        self._arrivals, self._next_due = iter(()), None
        if not self._due:
            self._end()

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

    def _begin(self) -> None:
        if self._arrivals is not None:
            self._next_due = next(self._arrivals, None)
            self._send_due()
            return
        self._open_slots = self._plan.connections
        for _ in range(self._plan.connections):
            self._send_again()

    def _send_due(self) -> None:
        assert self._arrivals is not None
        while self._next_due is not None and self._next_due <= (time_s := now() - self._start):
            self.record.late_s.append(time_s - self._next_due)
            self._send(self._next_due)
            self._next_due = next(self._arrivals, None)
        if self._is_over:
            return
        if self._next_due is not None:
            self._alarm.set(self._start + self._next_due)
        elif not self._due:
            self._end()

    def _send_again(self) -> None:
        """Send the next request of one connection in closed loop."""
        if not self._is_over:
            self._go_on(now() - self._start)

    def _go_on(self, time_s: float) -> None:
        plan = self._plan
        if (time_s < plan.end_s or len(self.record.due_s) < plan.least_answers) and self._sent < self._most_sent:
            self._send(time_s)
            return
        self._open_slots -= 1
        if not self._open_slots:
            self._end()

    def _send(self, due_s: float) -> None:
        number = self._sent
        self._sent += 1
        self._due[number] = due_s
        self._sender.send(number, self._ended)

    def _ended(self, number: int, failure: Failure | None) -> None:
        if self._is_over or (failure is not None and self._sends_again(number, failure)):
            return
        time_s, due_s = now() - self._start, self._due.pop(number)
        self.record.add(due_s, time_s - due_s, failure)
        if self._arrivals is not None:
            if self._next_due is None and not self._due:
                self._end()
        elif failure is not None and failure.kind in CONNECTION:
            asyncio.get_running_loop().call_later(_PAUSE_S, self._send_again)
        else:
            self._go_on(time_s)

    def _sends_again(self, number: int, failure: Failure) -> bool:
        """Hide a failure by another try, where that is wanted and of use."""
        tried = self._tried.get(number, 0)
        wait = wait_s(failure, tried) if tried < self._plan.retries else None
        if wait is None:
            return False
        self.record.retried += 1
        self._tried[number] = tried + 1
        asyncio.get_running_loop().call_later(wait, self._sender.send, number, self._ended)
        return True

    def _end(self) -> None:
        self._is_over = True
        self._over.set()

    def _watch_lag(self) -> None:
        self._lag_due = now() + _LAG_EVERY_S
        self._lag_alarm.set(self._lag_due)

    def _note_lag(self) -> None:
        self.record.lag_s.append(now() - self._lag_due)
        self._watch_lag()
