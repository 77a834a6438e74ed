"""Whether an ingress replica and a device's replica are of the same config: in a rollout they may not be.

An ingress replica runs the hooks and the device the network, so of two configs they would make an answer that neither
gives. A device refuses the block of another config, and the ingress replica has the whole request answered by it.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from hashlib import sha256
from typing import Any, NamedTuple

import orjson
from msgspec import structs

from configs.schema import ModelConfig
from models.runtime.dims import Cut
from models.signature import Signature, Tensor

from .batching.grouping import Grouping
from .batching.queue import Answer, OnResult
from .batching.remote import BlockReply
from .core.errors import BY_KIND, NotReady, OtherVersion, TimedOut
from .core.request import InferRequest, InferResult, OnInferResult

Described = list[dict[str, Any]]
# Has a device answer a request by its own hooks; returns its version, and ("answer", outputs) or an error's kind and
# arguments.
Ask = Callable[[InferRequest], Awaitable[tuple[str, BlockReply]]]


class About(NamedTuple):
    """What an ingress replica needs to know of the device's.

    The config with the signature that the start found, what preprocessing returned then, the policy for rows of
    different sizes, and what cuts answers back to a request's own, if there are any.
    """

    config: ModelConfig
    properties: dict[str, Any]
    model_inputs: tuple[Tensor, ...]
    grouping: Grouping | None
    cut: Cut | None


def contract_of(args: Mapping[str, Any]) -> str:
    """Return what stands for a config's args; they are the same in all replicas that were made of them."""
    return sha256(orjson.dumps(args, default=repr, option=orjson.OPT_SORT_KEYS | orjson.OPT_NON_STR_KEYS)).hexdigest()


def described(signature: Signature) -> Described:
    """Return the tensors that a model takes and gives: a request that was read for others cannot be answered."""
    return [each.describe() for each in (*signature.inputs, *signature.outputs)]


class Elsewhere:
    """Has requests of an ingress replica answered by devices of another config, where there are no others left."""

    def __init__(self, ask: Ask) -> None:
        self._ask = ask
        self._tasks: set[asyncio.Task[None]] = set()

    def around(
        self, request: InferRequest, version: str, allowed_s: float, deliver: OnResult, on_result: OnInferResult
    ) -> OnResult:
        """Return the callback for the network's answer: `deliver`, unless the device is of another config.

        `version` is the ingress replica's own.
        """
        until_s = time.perf_counter() + allowed_s

        def took(answer: Answer | Exception) -> None:
            if not isinstance(answer, OtherVersion):
                deliver(answer)
                return
            task = asyncio.get_running_loop().create_task(asked())
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

        async def asked() -> None:
            on_result(await self._answer(request, version, until_s))

        return took

    async def _answer(self, request: InferRequest, version: str, until_s: float) -> InferResult:
        left_s = max(0.0, until_s - time.perf_counter())
        try:
            async with asyncio.timeout(left_s):
                alone = structs.replace(request, timeout_s=left_s, observed=None)
                by, (kind, value) = await self._ask(alone)
            return InferResult(by, value) if kind == "answer" else InferResult(by, {}, BY_KIND[kind](*value))
        except TimeoutError:
            return InferResult(version, {}, TimedOut())
        except Exception:  # Ray has many errors for a lost replica; a client gets one.
            return InferResult(version, {}, NotReady())
