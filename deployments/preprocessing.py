"""Calls the preprocess hook for each request, and compares what it returns with what it returned at the start.

Its arrays are collated with the rows of other requests, so every property of them is checked.
"""

import asyncio
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from models.runtime.returned_values import check_model_inputs, too_long
from models.signature import Array, Rows, Tensor
from models.startup.sample_inputs import Preprocess
from models.user_code import call, text_of

from .core.errors import BadRequest, InferenceFailed, TimedOut
from .core.request import InferRequest, IsDisconnected

# Above this many rows preprocessing leaves the event loop; below, the hop to a thread costs more than it frees.
_INLINE_ROWS = 8


class Preprocessor:
    """Turns the rows of a request into the model's inputs; `model_inputs` are those seen at the start."""

    def __init__(self, hook: Preprocess, model_inputs: Sequence[Tensor], longest: int | None) -> None:
        self._hook = hook
        self._model_inputs = tuple(model_inputs)
        self._longest = longest
        # Threads of its own: slow hooks must not block the reading of bodies in asyncio's threads.
        self._threads = ThreadPoolExecutor(thread_name_prefix="preprocess")
        self._open_inputs = tuple(tensor.name for tensor in self._model_inputs if not tensor.fixed)

    async def __call__(
        self, request: InferRequest, until_s: float, is_disconnected: IsDisconnected | None = None
    ) -> dict[str, Array]:
        """Return an array for each of the model's inputs, with as many rows as the request.

        Raises:
            BadRequest: the hook raised ValueError, or a row is longer than the longest that was warmed.
            InferenceFailed: it raised another error, or returned something else than at the start.
            TimedOut: it was not done by `until_s`, on time.perf_counter's clock.
        """

        def in_turn() -> dict[str, Array]:
            # It may have waited for a thread; skip it if nobody waits for it any more.
            if time.perf_counter() >= until_s or (is_disconnected is not None and is_disconnected()):
                raise TimedOut
            return self._run(request.inputs, request.rows)

        if request.rows <= _INLINE_ROWS:
            return self._run(request.inputs, request.rows)
        try:
            async with asyncio.timeout(until_s - time.perf_counter()):
                return await asyncio.get_running_loop().run_in_executor(self._threads, in_turn)
        except TimeoutError:  # Our own: the hook's would have come as InferenceFailed.
            raise TimedOut from None

    def _run(self, inputs: Rows, rows: int) -> dict[str, Array]:
        for array in inputs.values():
            # Some arrays are views of the body; the start refuses a hook that works in place.
            array.flags.writeable = False
        try:
            returned = call(self._hook, inputs)
        except ValueError as error:  # By contract, the client gets the text of a ValueError.
            if not (sentence := text_of(error)):
                raise InferenceFailed(error) from None
            raise BadRequest(sentence) from error
        except Exception as error:  # The user's own code; whatever it raises or returns, only this request may suffer.
            raise InferenceFailed(error) from None
        try:
            arrays = call(self._own, returned, rows)
        except Exception as error:  # As above: reading what it returned may raise anything.
            raise InferenceFailed(error) from None
        if self._longest is not None and (sentence := too_long(arrays, self._open_inputs, self._longest) or ""):
            raise BadRequest(sentence)
        return arrays

    def _own(self, returned: object, rows: int) -> dict[str, Array]:
        """Return copies: a hook may write into the same arrays at its next call, while these still wait."""
        return {name: np.array(array) for name, array in check_model_inputs(returned, rows, self._model_inputs).items()}


def preprocessor(
    hook: Preprocess | None, model_inputs: Sequence[Tensor], lengths: Sequence[int] | None
) -> Preprocessor | None:
    """Return the preprocessor of a model, or None without a hook; `lengths` are the warmed ones, ascending."""
    return None if hook is None else Preprocessor(hook, model_inputs, lengths[-1] if lengths else None)
