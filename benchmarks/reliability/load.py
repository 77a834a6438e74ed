"""Steady load from a thread of its own, over `pitstop load`'s sender, with every answer checked.

It goes on until it is told to cease, however long the server takes to recover; Ctrl-C in the main thread ends both.
"""

import asyncio
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from pitstop.load.clock import new_loop, now
from pitstop.load.load_runner import Drive
from pitstop.load.outcome import WRONG, Done, Failure, Sender
from pitstop.load.plan import Plan
from pitstop.load.record import Record
from pitstop.load.sender_grpc import GrpcSender
from pitstop.load.sender_http import Address, HttpSender

from .questions import Questions

# An answer that takes longer than this counts as not recovered.
SLOW_S = 1.0
# Long enough for whatever is watched; `cease` ends it.
_FOR_EVER_S = 24 * 3600.0
_TIMEOUT_S = 10.0
_END_S = 60.0


@dataclass
class Refusals:
    """What was turned away: how long that took, and how many were told when to come again."""

    took_s: list[float] = field(default_factory=list)
    named_a_time: int = 0


class Watched:
    """A sender that notes how refusals came; the run's record knows only their number. Satisfies outcome.Sender."""

    def __init__(self, inner: Sender) -> None:
        self._inner = inner
        self.refusals = Refusals()

    @property
    def queued(self) -> int:
        return self._inner.queued

    @queued.setter
    def queued(self, value: int) -> None:
        self._inner.queued = value

    async def open(self, connections: int) -> None:
        await self._inner.open(connections)

    async def close(self) -> None:
        await self._inner.close()

    def send(self, number: int, done: Done) -> None:
        sent = now()

        def ended(number: int, failure: Failure | None) -> None:
            if failure is not None and failure.kind == "HTTP 503":
                self.refusals.took_s.append(now() - sent)
                self.refusals.named_a_time += failure.retry_after_s is not None
            done(number, failure)

        self._inner.send(number, ended)


class Load:
    """Open loop at a rate: Poisson arrivals, latency from the time a request was due. Without one, closed loop."""

    def __init__(
        self,
        questions: Questions,
        rate_rps: float | None,
        seed: int = 0,
        retries: int = 0,
        most: int = 512,
        connections: int = 8,
        grpc_port: int = 0,
    ) -> None:
        self.questions = questions
        self.plan = Plan(
            rate_rps=rate_rps,
            connections=connections,
            most=most,
            seconds=_FOR_EVER_S,
            warmup_s=0,
            timeout_s=_TIMEOUT_S,
            retries=retries,
            seed=seed,
        )
        address = questions.target.address
        inner: Sender
        if questions.form == "grpc":
            there = Address(address.host, grpc_port)
            inner = GrpcSender(there, questions.target.model, questions, _TIMEOUT_S, questions.right)
        else:
            inner = HttpSender(address, questions, most if rate_rps else connections, _TIMEOUT_S, questions.right)
        self.sender = Watched(inner)
        self.drive = Drive(self.plan, self.sender)
        self.fault_s: float | None = None
        self.under_way = 0
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread = threading.Thread(target=self._work, name="load", daemon=True)

    @property
    def record(self) -> Record:
        return self.drive.record

    @property
    def sent(self) -> int:
        return len(self.record.late_s)

    @property
    def errors(self) -> Counter[str]:
        """Failed requests by kind, wrong answers among them."""
        return Counter(kind for _, kind in list(self.record.failures))

    @property
    def wrong(self) -> int:
        return self.errors[WRONG]

    @property
    def failed(self) -> int:
        """Requests without an answer; wrong ones are counted apart."""
        return sum(self.errors.values()) - self.wrong

    def mark_fault(self) -> None:
        """Note that the fault happens now."""
        self.fault_s, self.under_way = self.drive.elapsed_s, self.drive.under_way

    def recovered_s(self, slow_s: float = SLOW_S) -> float:
        """Return how long after the fault the last request was due that failed, was wrong or took too long.

        Where nothing is too slow, at math.inf, only failures and wrong answers count.
        """
        began = self.fault_s or 0.0
        slow = [due for due, took in zip(self.record.due_s, self.record.latency_s, strict=False) if took > slow_s]
        bad = [due for due, _ in self.record.failures]
        return max([due - began for due in (*slow, *bad) if due >= began], default=0.0)

    def quiet_for_s(self) -> float:
        """Return for how long everything has gone well; no time at all while a request waits for too long."""
        if self.drive.waited_s > SLOW_S:
            return 0.0
        return self.drive.elapsed_s - (self.fault_s or 0.0) - self.recovered_s()

    def start(self) -> None:
        self._thread.start()

    def cease(self) -> None:
        """Send nothing new."""
        loop = self._loop
        if loop is not None and self._thread.is_alive():
            loop.call_soon_threadsafe(self.drive.cease)

    def end(self, patience_s: float = _END_S) -> None:
        """Send nothing new and wait for what is under way; at the end of patience give that up."""
        self.cease()
        self._thread.join(patience_s)
        self.stop()

    def stop(self) -> None:
        """End at once."""
        loop = self._loop
        if loop is not None and self._thread.is_alive():
            loop.call_soon_threadsafe(self.drive.stop)
            self._thread.join()

    def _work(self) -> None:
        with asyncio.Runner(loop_factory=new_loop) as runner:
            runner.run(self._run())

    async def _run(self) -> None:
        self._loop = asyncio.get_running_loop()
        await self.sender.open(8)
        try:
            await self.drive.run()
        finally:
            await self.sender.close()


@contextmanager
def loaded(load: Load, ahead_s: float = 0.0) -> Iterator[Load]:
    """Put the load on, for some seconds before anything else happens; take it off at the end, whatever that is."""
    load.start()
    try:
        time.sleep(ahead_s)
        yield load
    except BaseException:
        load.stop()
        raise
    load.end()
