"""What the root application's pages show, by the token of their reader: made at most once in 2 seconds for each.

A token may open some models only, so each has an answer of its own. However many pages are open, and whatever tokens
are sent, one answer for a token is made at a time, so that the models are not asked by many pages at once. A reader
without a token waits for no token.
"""

import asyncio
import hashlib
import time
from collections import Counter, OrderedDict
from collections.abc import Callable, Coroutine
from typing import Any, Generic, TypeVar

from .core.errors import NotReady

_KEPT_S = 2.0
MOST_TOKENS = 32
MOST_WAITING = 8
Answer = TypeVar("Answer")


class AnswerCache(Generic[Answer]):
    """The answers of the last tokens; those of no token have the key b""."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._kept: OrderedDict[bytes, tuple[float, Answer]] = OrderedDict()
        self._of_tokens, self._of_none = asyncio.Lock(), asyncio.Lock()
        # How many readers of each token wait for an answer.
        self._waiting = Counter[bytes]()

    async def get(self, authorization: bytes, make: Callable[[], Coroutine[Any, Any, Answer]]) -> Answer:
        """Return the answer for this Authorization header; what `make` raises is not kept.

        Raises:
            NotReady: the answers of MOST_WAITING other tokens are not made yet.
        """
        key = authorization and hashlib.sha256(authorization).digest()
        if (kept := self._fresh(key)) is not None:
            return kept
        if key and key not in self._waiting and len(self._waiting) >= MOST_WAITING:
            raise NotReady("the server is asked with too many tokens at once: try again in 1 s")
        if not key:
            async with self._of_none:
                return await self._kept_or_made(key, make)
        self._waiting[key] += 1
        try:
            async with self._of_tokens:
                return await self._kept_or_made(key, make)
        finally:
            self._waiting[key] -= 1
            if not self._waiting[key]:
                del self._waiting[key]

    def _fresh(self, key: bytes) -> Answer | None:
        made_s, answer = self._kept.get(key, (0.0, None))
        return answer if self._clock() - made_s < _KEPT_S else None

    async def _kept_or_made(self, key: bytes, make: Callable[[], Coroutine[Any, Any, Answer]]) -> Answer:
        if (kept := self._fresh(key)) is not None:
            return kept
        answer = await make()
        self._kept[key] = self._clock(), answer
        self._kept.move_to_end(key)
        if len(self._kept) > MOST_TOKENS:
            self._kept.pop(next(filter(None, self._kept)))  # The answer of no token stays.
        return answer
