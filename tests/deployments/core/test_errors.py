"""What clients are told of a sick device, over HTTP and over gRPC."""

import grpc
import pytest

from deployments.core.errors import (
    BY_KIND,
    BadRequest,
    NotFinite,
    OutOfMemory,
    OutOfMemoryTogether,
    ServeError,
    Unavailable,
    sentence,
)
from deployments.grpc.status import code_of


@pytest.mark.parametrize(
    "error, status, code",
    [
        (Unavailable(3), 503, grpc.StatusCode.UNAVAILABLE),
        (OutOfMemory(), 503, grpc.StatusCode.RESOURCE_EXHAUSTED),
        (OutOfMemoryTogether(), 503, grpc.StatusCode.RESOURCE_EXHAUSTED),
        (NotFinite(), 500, grpc.StatusCode.INTERNAL),
    ],
)
def test_each_error_has_its_status_and_crosses_to_an_ingress_replica(
    error: ServeError, status: int, code: grpc.StatusCode
) -> None:
    assert (error.status, code_of(error)) == (status, code)
    again = BY_KIND[error.kind](*error.args)
    assert (type(again), again.message, again.headers) == (type(error), error.message, error.headers)


def test_who_is_told_to_come_again_is_told_when() -> None:
    assert Unavailable(3).headers == ((b"retry-after", b"3"),)


def test_a_sentence_is_bounded_whatever_stands_in_it() -> None:
    assert len(sentence(BadRequest("x" * 5_000_000))) <= 1001
    assert sentence(BadRequest("x" * 900)) == "x" * 900
