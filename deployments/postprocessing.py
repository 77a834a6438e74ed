"""Calls the postprocess hook for each request, with the rows of its own that the network returned for it, and holds
what it returns against the outputs of the config.

A ValueError is no client's fault here: the client sent rows that were accepted, and the network made the rest.
"""

from collections.abc import Callable, Sequence

from models.runtime.postprocessed import check_outputs
from models.signature import Array, Tensor
from models.sources.hooks import Hook, hook_of
from models.user_code import call

from .batching.queue import Answer
from .core.errors import InferenceFailed
from .core.request import InferRequest, IsDisconnected
from .hook_threads import INLINE_ROWS, HookThreads


class Postprocessor:
    """Turns what the network returned for a request into the declared outputs."""

    def __init__(self, hook: Hook | Callable[..., object], outputs: Sequence[Tensor]) -> None:
        self._hook = hook_of(hook)
        self._outputs = tuple(outputs)
        self._threads = HookThreads("postprocess")

    def at_once(self, answer: Answer, request: InferRequest) -> Answer | Exception | None:
        """Return the outputs or an error, on the event loop; None for more rows than are worth that."""
        if request.rows > INLINE_ROWS:
            return None
        try:
            return self._run(answer, request)
        except InferenceFailed as error:
            return error

    async def in_thread(
        self, answer: Answer, request: InferRequest, until_s: float, is_disconnected: IsDisconnected | None
    ) -> Answer:
        """Return the outputs.

        Raises:
            InferenceFailed: the hook raised, or returned something else than is declared.
            TimedOut: it was not done by `until_s`, on time.perf_counter's clock.
        """
        return await self._threads.run(lambda: self._run(answer, request), until_s, is_disconnected)

    def _run(self, answer: Answer, request: InferRequest) -> dict[str, Array]:
        # What the start saw: with ingress replicas they come over the network, and could not be written to.
        for array in answer.values():
            array.flags.writeable = False
        try:
            returned = call(self._hook, answer, request.parameters)
            return call(check_outputs, returned, request.rows, self._outputs)
        except Exception as error:  # The user's own code; whatever it raises or returns, only this request may suffer.
            raise InferenceFailed(error) from None


def postprocessor(hook: Hook | None, outputs: Sequence[Tensor]) -> Postprocessor | None:
    """Return the postprocessor of a model, or None without a hook."""
    return None if hook is None else Postprocessor(hook, outputs)
