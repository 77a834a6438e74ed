"""Hands a share of the requests to the canary. What it does not answer, the stable version does: none fails by it."""

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any, Protocol

from ray.serve import metrics

from configs.schema import Tunables

from ..batching.queue import OnResult
from ..errors import BY_KIND, NotReady
from ..inference import InferRequest
from .away import Away
from .other import Other
from .share import drawn

# The canary gets this part of a request's time; the rest is for the stable version, should it not answer.
_PART = 0.5


class Stable(Protocol):
    """What stands behind; service.ModelService is one."""

    version: str

    @property
    def tunables(self) -> Tunables: ...

    def begin(self, request: InferRequest, settle: OnResult) -> None: ...


class Canary:
    """A share in percent, and what became of it."""

    def __init__(
        self,
        stable: Stable,
        other: Other,
        percent: float,
        pause: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        self.other = other
        self.percent = percent
        self._stable = stable
        self._outcomes: Counter[str] = Counter()
        self._sent: Counter[str] = Counter()
        self._rows = 0
        self._metric = metrics.Counter(
            "pitstop_canary_requests",
            "Requests of the canary's share: answered by it, or why the stable version had to.",
            tag_keys=("outcome",),
        )
        self._tasks: set[asyncio.Task[None]] = set()
        self._watch = asyncio.get_running_loop().create_task(other.watch_for_ever(self._push, pause))

    def takes(self, request: InferRequest, asked: str) -> bool:
        """Whether the canary is to answer: by the version `asked`, or by its share where none is."""
        if asked:
            return asked == self.other.version
        if not drawn(request.id, self.percent) or request.rows == 0:
            return False
        if not self.other.up:
            self._outcomes["away"] += 1
            return False
        if self._rows + request.rows > self._stable.tunables.max_queued_rows:
            self._outcomes["full"] += 1
            return False
        return True

    def begin(self, request: InferRequest, settle: OnResult, asked: str) -> None:
        """Answer through the canary; where it does not, through the stable version, unless it was asked by name."""
        task = asyncio.get_running_loop().create_task(self._ask(request, settle, bool(asked)))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def as_json(self) -> dict[str, Any]:
        return {
            "application": self.other.application,
            "version": self.other.version,
            "percent": self.percent,
            "up": self.other.up,
            "outcomes": dict(self._outcomes),
        }

    def close(self) -> None:
        self._watch.cancel()
        self.other.close()

    async def _ask(self, request: InferRequest, settle: OnResult, by_name: bool) -> None:
        most_s = self._stable.tunables.timeout_s
        allowed_s = most_s if request.timeout_s is None else min(request.timeout_s, most_s)
        began = time.perf_counter()
        self._rows += request.rows
        try:
            within_s = allowed_s if by_name else allowed_s * _PART
            outputs = await self.other.ask(request.inputs, request.rows, within_s, request.priority)
        except Away as away:
            if by_name:
                settle(_refusal(away, self.other))
                return
            self._outcomes[away.reason] += 1
            request.timeout_s = allowed_s - (time.perf_counter() - began)
            self._fall_back(request, settle)
        else:
            if not by_name:
                self._outcomes["answered"] += 1
            request.version = self.other.version or ""
            settle(outputs)
        finally:
            self._rows -= request.rows

    def _fall_back(self, request: InferRequest, settle: OnResult) -> None:
        request.version = self._stable.version
        try:
            self._stable.begin(request, settle)
        except Exception as error:  # Whoever waits is told by `settle` alone.
            settle(error)

    def _push(self) -> None:
        for outcome, total in list(self._outcomes.items()):
            if new := total - self._sent[outcome]:
                self._sent[outcome] = total
                self._metric.inc(new, tags={"outcome": outcome})


def _refusal(away: Away, other: Other) -> Exception:
    if away.reason in BY_KIND:
        return BY_KIND[away.reason](*away.value)
    return NotReady(f"version {other.version!r} is not ready: try again, or leave the version out")
