"""Before a server is measured its answers are read: a wrong one would be a fast one too.

Every input is sent, many at once, so that a server that mixes up the rows of a batch is found out as well.
"""

import asyncio
from collections.abc import Sequence

import numpy as np

from deployments.http_client.client import HttpClient
from deployments.http_client.reply import Reply
from deployments.http_client.request import post
from pitstop.load.sender_http import Address

from . import cache
from .device import chosen
from .peers.codecs import Codec
from .server import NotMeasuredError
from .workloads import Array, Workload

_TOGETHER = 16
_PATIENCE_S = 60.0


def requests_of(workload: Workload, codec: Codec) -> list[bytes]:
    """Return the workload's inputs as requests, ready to be sent."""
    encoded = [codec.encode(each) for each in workload.inputs()]
    return [post(codec.path, "127.0.0.1", headers.items(), body) for headers, body in encoded]


def verify(address: Address, workload: Workload, codec: Codec, requests: Sequence[bytes]) -> None:
    """Compare each answer with the eager model's.

    Raises:
        NotMeasuredError: an answer is missing, refused or wrong.
    """
    expected: Array = np.load(cache.expected(workload.name))
    for index, answer in enumerate(answers(address, requests)):
        if answer.status != 200:
            raise NotMeasuredError(f"input {index} was answered with status {answer.status}: {answer.body[:200]!r}")
        try:
            found = codec.decode(answer)
        except (KeyError, IndexError, TypeError, ValueError) as error:
            raise NotMeasuredError(
                f"input {index} was answered with what cannot be read: {answer.body[:200]!r}"
            ) from error
        off = deviation(found, expected[index])
        if off > chosen().tolerance:
            raise NotMeasuredError(f"input {index} was answered wrongly: off by {off:.2g} of the largest value")


def deviation(found: Array, expected: Array) -> float:
    """Return the largest difference as a share of the largest expected value; infinite where the shapes differ."""
    if found.shape != expected.shape:
        return float("inf")
    off = float(np.abs(found - expected).max() / np.abs(expected).max())
    return off if np.isfinite(off) else float("inf")


def answers(address: Address, requests: Sequence[bytes]) -> list[Reply]:
    """Send every request once, several at a time, and return the answers in their order.

    Raises:
        NotMeasuredError: one is missing.
    """
    return asyncio.run(_answers(address, requests))


async def _answers(address: Address, requests: Sequence[bytes]) -> list[Reply]:
    client = HttpClient(address.host, address.port, _TOGETHER)

    async def answer(index: int, request: bytes) -> Reply:
        try:
            return await client.send(request)
        except OSError as error:
            raise NotMeasuredError(f"input {index}: {type(error).__name__} instead of an answer") from error

    try:
        async with asyncio.timeout(_PATIENCE_S):
            return await asyncio.gather(*(answer(*each) for each in enumerate(requests)))
    except TimeoutError as error:
        raise NotMeasuredError(f"not all of {len(requests)} requests were answered in {_PATIENCE_S:.0f} s") from error
    finally:
        client.close()
