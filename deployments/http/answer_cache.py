"""What the root application's pages show, by the token of their reader: made at most once in 2 seconds for each.

A token may open some models only, so each has an answer of its own. However many pages are open, and whatever tokens
are sent, one answer is made at a time, so that the models are not asked by many pages at once.
"""

import asyncio
import hashlib
import time
from collections import OrderedDict
from collections.abc import Callable, Coroutine
from typing import Any, Generic, TypeVar

_KEPT_S = 2.0
MOST_TOKENS = 32
Answer = TypeVar("Answer")


class AnswerCache(Generic[Answer]):
    """The answers of the last tokens; those of no token have the key b""."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._kept: OrderedDict[bytes, tuple[float, Answer]] = OrderedDict()
        self._making = asyncio.Lock()

    async def get(self, authorization: bytes, make: Callable[[], Coroutine[Any, Any, Answer]]) -> Answer:
        """Return the answer for this Authorization header; what `make` raises is not kept."""
        key = hashlib.sha256(authorization).digest()
        async with self._making:
            made_s, answer = self._kept.get(key, (0.0, None))
            if answer is not None and self._clock() - made_s < _KEPT_S:
                return answer
            answer = await make()
            self._kept[key] = self._clock(), answer
            self._kept.move_to_end(key)
            if len(self._kept) > MOST_TOKENS:
                self._kept.popitem(last=False)
            return answer
