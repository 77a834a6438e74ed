"""Calls the postprocess hook with a request's own rows of the network's answer, and compares what it returns with the
declared outputs.

A ValueError is no client's fault here: the client sent rows that were accepted, and the network made the rest.
"""

from collections.abc import Callable, Sequence

from models.runtime.postprocessed import check_outputs
from models.signature import Tensor
from models.sources.hooks import Hook, hook_of
from models.user_code import call

from .batching.queue import Answer
from .core.errors import InferenceFailed
from .core.request import InferRequest
from .hook_threads import HookThreads


class Postprocessor:
    """Turns what the network returned for a request into the declared outputs."""

    def __init__(self, hook: Hook | Callable[..., object], outputs: Sequence[Tensor]) -> None:
        self._hook = hook_of(hook)
        self._outputs = tuple(outputs)
        self.threads = HookThreads("postprocess")

    def __call__(self, answer: Answer, request: InferRequest) -> Answer | Exception:
        """Return the outputs, or InferenceFailed if the hook raised or returned something else than is declared.

        Call it by its `threads`, which say where.
        """
        try:
            returned = call(self._hook, answer, request.parameters)
            return call(check_outputs, returned, request.rows, self._outputs)
        except Exception as error:  # The user's own code; whatever it raises or returns, only this request may suffer.
            return InferenceFailed(error)


def postprocessor(hook: Hook | None, outputs: Sequence[Tensor]) -> Postprocessor | None:
    """Return the postprocessor of a model, or None without a hook."""
    return None if hook is None else Postprocessor(hook, outputs)
