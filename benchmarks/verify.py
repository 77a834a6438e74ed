"""Before a server is measured its answers are read: a wrong one would be a fast one too.

Every input is sent, many at once, so that a server that mixes up the rows of a batch is found out as well.
"""

import time
from collections.abc import Sequence

import numpy as np

from . import cache
from .client.connection import Address, Connection
from .client.http import parse
from .client.http import request as http_request
from .client.pool import Pool
from .device import chosen
from .peers.codecs import Codec
from .server import NotMeasuredError
from .workloads import Array, Workload

_TOGETHER = 16
_PATIENCE_S = 60.0


def requests_of(workload: Workload, codec: Codec) -> list[bytes]:
    """Return the workload's inputs as requests, ready to be sent."""
    encoded = [codec.encode(each) for each in workload.inputs()]
    return [http_request(codec.path, headers, body) for headers, body in encoded]


def verify(address: Address, workload: Workload, codec: Codec, requests: Sequence[bytes]) -> None:
    """Compare each answer with the eager model's.

    Raises:
        NotMeasuredError: an answer is missing, refused or wrong.
    """
    expected: Array = np.load(cache.expected(workload.name))
    for index, data in answers(address, requests).items():
        answer = parse(data)
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


def answers(address: Address, requests: Sequence[bytes]) -> dict[int, bytes]:
    """Send every request once, several at a time, and return the answers by index."""
    found: dict[int, bytes] = {}
    left = list(enumerate(requests))[::-1]
    deadline = time.monotonic() + _PATIENCE_S
    with Pool(address, min(_TOGETHER, len(requests))) as pool:
        asked: dict[Connection, int] = {}
        idle = list(pool.connections)
        while left or asked:
            while left and idle:
                connection = idle.pop()
                asked[connection], request = left.pop()
                pool.send(connection, request)
            for connection, error in pool.finished(1.0):
                index = asked.pop(connection)
                if error and not error.startswith("status"):
                    raise NotMeasuredError(f"input {index}: {error} instead of an answer")
                found[index] = connection.answer
                idle.append(connection)
            if time.monotonic() > deadline:
                raise NotMeasuredError(f"no answer to {len(asked)} requests within {_PATIENCE_S:.0f} s")
    return found
