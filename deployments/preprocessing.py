"""Calls the preprocess hook for each request, and compares what it returns with what it returned at the start.

Its arrays are collated with the rows of other requests, so every property of them is checked.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np

from models.errors import ModelError
from models.runtime.dims import Dim, OpenSizes
from models.runtime.returned_values import check_model_inputs
from models.runtime.value_ranges import ValueRanges
from models.signature import Array, Rows, Tensor
from models.sources.hooks import Hook, hook_of
from models.user_code import call, text_of

from .core.errors import BadRequest, InferenceFailed
from .core.request import InferRequest, IsDisconnected
from .hook_threads import HookThreads


class Preprocessor:
    """Turns the rows of a request into the model's inputs; `model_inputs` are those seen at the start."""

    def __init__(
        self, hook: Hook | Callable[..., Any], model_inputs: Sequence[Tensor], open_sizes: OpenSizes | None = None
    ) -> None:
        self._hook = hook_of(hook)
        self._model_inputs = tuple(model_inputs)
        self._open_sizes = open_sizes or OpenSizes((), ())
        self._ranges = ValueRanges(model_inputs, self._open_sizes.dims)
        self._threads = HookThreads("preprocess")

    async def __call__(
        self, request: InferRequest, until_s: float, is_disconnected: IsDisconnected | None = None
    ) -> dict[str, Array]:
        """Return an array for each of the model's inputs, with as many rows as the request.

        Raises:
            BadRequest: the hook raised ValueError, or a size is larger than any that was warmed.
            InferenceFailed: it raised another error, returned something else than at the start, arrays of unlike sizes
                that no padding makes alike, or a whole number outside of `low` and `high`.
            TimedOut: it was not done by `until_s`, on time.perf_counter's clock.
        """
        rows, threads = request.rows, self._threads
        work = partial(self._run, request.inputs, rows, request.parameters)
        return await threads.call(rows, work, until_s - time.perf_counter(), is_disconnected)

    def _run(self, inputs: Rows, rows: int, parameters: Mapping[str, Any] | None) -> dict[str, Array]:
        try:
            returned = call(self._hook, inputs, parameters)
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
        if self._open_sizes and (said := self._open_sizes.refused(arrays, False, self._hook.if_too_long)):
            raise BadRequest(said)
        if uneven := self._open_sizes.uneven(arrays):
            raise InferenceFailed(ModelError(f"preprocess returned arrays that share no batch: {uneven}"))
        if self._ranges and (excluded := self._ranges.refused(arrays)):
            raise InferenceFailed(ModelError(f"preprocess returned values that model_inputs excludes: {excluded}"))
        return arrays

    def _own(self, returned: object, rows: int) -> dict[str, Array]:
        """Return copies: a hook may write into the same arrays at its next call, while these still wait."""
        arrays = check_model_inputs(returned, rows, self._model_inputs)
        # Again: an array of a class of the user's own may have told of another dtype or shape than its copy has.
        copies = {name: np.array(array) for name, array in arrays.items()}
        return check_model_inputs(copies, rows, self._model_inputs)


def preprocessor(
    hook: Hook | Callable[..., Any] | None,
    model_inputs: Sequence[Tensor],
    dims: Sequence[Dim],
    outputs: Sequence[Tensor] = (),
) -> Preprocessor | None:
    """Return the preprocessor of a model, or None without a hook; `outputs` are those that are cut to its sizes."""
    return None if hook is None else Preprocessor(hook, model_inputs, OpenSizes(dims, model_inputs, outputs))
