"""Between LoadGen's C++ threads and our event loop: each query crosses over, and its answer back."""

import asyncio
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from typing import Any

from .clock import now
from .outcome import Failure, Sender
from .percentiles import rank


class Bridge:
    """Carries queries from LoadGen's threads into the event loop, and answers back, until it is `over`."""

    def __init__(self, module: Any, sender: Sender, loop: asyncio.AbstractEventLoop) -> None:
        self._module = module
        self._sender = sender
        self._loop = loop
        self._took_s: list[float] = []
        self.errors: Counter[str] = Counter()
        self.over = False

    def issue(self, samples: Sequence[Any]) -> None:
        # Raised into LoadGen's C++, an error would end the program; it may ask on after Ctrl-C.
        with suppress(RuntimeError):
            if not self.over:
                self._loop.call_soon_threadsafe(self._send, now(), [(sample.id, sample.index) for sample in samples])

    def figures(self) -> dict[str, str]:
        """Return what was seen so far, in LoadGen's manner."""
        found = {"Answered so far": f"{len(self._took_s):,}"}
        for share in (0.5, 0.99) if self._took_s else ():
            value = sorted(self._took_s)[rank(len(self._took_s), share)]
            found[f"p{share * 100:g} from when LoadGen asked"] = f"{value * 1e3:.3g} ms"
        return found

    def _send(self, asked: float, samples: Sequence[tuple[int, int]]) -> None:
        for identity, index in samples:
            self._sender.send(index, partial(self._answer, identity, asked))

    def _answer(self, identity: int, asked: float, failure: Failure | None) -> None:
        if failure is None:
            self._took_s.append(now() - asked)
        else:
            self.errors[failure.kind] += 1
        # The data's address and size: none is kept, since accuracy is not measured here.
        self._module.QuerySamplesComplete([self._module.QuerySampleResponse(identity, 0, 0)])
