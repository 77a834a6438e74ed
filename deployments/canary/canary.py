"""Passes a share of the requests to the canary. The stable version answers those that the canary does not."""

import asyncio
import random
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from hashlib import blake2b
from typing import Any, Protocol

import msgspec
from ray.serve import metrics

from configs.schema import Tunables

from ..core.errors import BY_KIND, NotReady
from ..core.request import InferRequest, InferResult, IsDisconnected, OnInferResult
from ..ray_compat.counters import start_at_zero
from .client import CanaryClient, CanaryUnavailable

# The canary gets this part of a request's time; the rest is left for the stable version.
_PART = 0.5
# Those known beforehand; the others are kinds of errors.
_OUTCOMES = ("answered", "away", "full", "lost", "slow")


class Stable(Protocol):
    """The stable version; service.ModelService is one."""

    version: str

    @property
    def tunables(self) -> Tunables: ...

    def begin(
        self, request: InferRequest, on_result: OnInferResult, is_disconnected: IsDisconnected | None = None
    ) -> None: ...


class Canary:
    """Passes on its share, in percent, and counts the outcomes."""

    def __init__(
        self,
        client: CanaryClient,
        percent: float,
        pause: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        self.client = client
        self.percent = percent
        self._outcomes: Counter[str] = Counter()
        self._sent: Counter[str] = Counter()
        self._rows = 0
        self._metric = metrics.Counter(
            "pitstop_canary_requests",
            "Requests of the canary's share: answered by it, or why the stable version had to.",
            tag_keys=("outcome",),
        )
        for outcome in _OUTCOMES:
            start_at_zero(self._metric, outcome=outcome)
        self._tasks: set[asyncio.Task[None]] = set()
        self._watch = asyncio.get_running_loop().create_task(client.watch_for_ever(self._push, pause))

    def takes(self, request: InferRequest, most_rows: int) -> bool:
        """Whether the canary answers: by the request's version, or by the share if it names none."""
        if request.version:
            return request.version == self.client.version
        if not in_share(request.id, self.percent) or request.rows == 0:
            return False
        if not self.client.up:
            self._outcomes["away"] += 1
            return False
        if self._rows + request.rows > most_rows:
            self._outcomes["full"] += 1
            return False
        return True

    def begin(
        self, request: InferRequest, on_result: OnInferResult, is_disconnected: IsDisconnected | None, stable: Stable
    ) -> None:
        """Answer by the canary, else by the stable version, unless the request names the canary's version."""
        task = asyncio.get_running_loop().create_task(self._answer(request, on_result, is_disconnected, stable))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def as_json(self) -> dict[str, Any]:
        return {
            "application": self.client.application,
            "version": self.client.version,
            "percent": self.percent,
            "up": self.client.up,
            "outcomes": dict(self._outcomes),
        }

    def close(self) -> None:
        self._watch.cancel()
        self.client.close()

    async def _answer(
        self, request: InferRequest, on_result: OnInferResult, is_disconnected: IsDisconnected | None, stable: Stable
    ) -> None:
        by_name, most_s = bool(request.version), stable.tunables.request_timeout_s
        allowed_s = most_s if request.timeout_s is None else min(request.timeout_s, most_s)
        began = time.perf_counter()
        self._rows += request.rows
        try:
            within_s = allowed_s if by_name else allowed_s * _PART
            outputs = await self.client.ask(request, within_s)
        except CanaryUnavailable as unavailable:
            if by_name:
                on_result(InferResult(request.version, {}, _refusal(unavailable, request.version)))
                return
            self._outcomes[unavailable.reason] += 1
            left_s = allowed_s - (time.perf_counter() - began)
            remade = msgspec.structs.replace(request, version=stable.version, timeout_s=left_s)
            try:
                stable.begin(remade, on_result, is_disconnected)
            except Exception as error:  # Only a result ends the request.
                on_result(InferResult(stable.version, {}, error))
        else:
            if not by_name:
                self._outcomes["answered"] += 1
            on_result(InferResult(self.client.version or "", outputs))
        finally:
            self._rows -= request.rows

    def _push(self) -> None:
        for outcome, total in list(self._outcomes.items()):
            if new := total - self._sent[outcome]:
                self._sent[outcome] = total
                self._metric.inc(new, tags={"outcome": outcome})


def in_share(identity: str | None, percent: float) -> bool:
    """Whether a request belongs to the share: by its id if it has one, else at random.

    An id always gets the same decision, in every replica, and an id in one share is in every larger one.
    """
    if percent <= 0:
        return False
    return (100 * random.random() if identity is None else position(identity)) < percent


def position(identity: str) -> float:
    """Return a number from 0 to 100 for an id."""
    return 100 * int.from_bytes(blake2b(identity.encode("utf-8", "replace"), digest_size=6).digest()) / 2**48


def _refusal(unavailable: CanaryUnavailable, version: str) -> Exception:
    if unavailable.reason in BY_KIND:
        return BY_KIND[unavailable.reason](*unavailable.value)
    return NotReady(f"version {version!r} is not ready: try again, or leave the version out")
