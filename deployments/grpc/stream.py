"""The answers of ModelStreamInfer: a request that fails gets its error as an answer, and the stream goes on."""

from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Sequence

from ..core.errors import BadRequest, ServeError, sentence
from ..protobuf.wire import Buffer, nested, text
from ..stubs import open_inference_pb2 as pb
from .ordered import STREAM_AT_ONCE, in_order

_INFER_RESPONSE, _ID = 2, 3
# Triton's clients look for it: with one answer to a request, that answer is the final one.
_FINAL = pb.ModelInferResponse(
    parameters={"triton_final_response": pb.InferParameter(bool_param=True)}
).SerializeToString()


async def answers(
    requests: AsyncIterable[bytes],
    infer: Callable[[bytes], Awaitable[Sequence[Buffer]]],
    client_error: Callable[[Exception], ServeError],
) -> AsyncIterator[list[Buffer]]:
    """Yield the answer to each request of a stream, in their order.

    Args:
        requests: ModelInferRequests as they come.
        infer: returns the ModelInferResponse to one, in parts.
        client_error: turns an exception into the error that the client gets.
    """

    async def answer(request: bytes) -> list[Buffer]:
        try:
            return _answered(await infer(request))
        except Exception as error:
            return _failed(client_error(error), request)

    async for each in in_order(requests, answer, STREAM_AT_ONCE):
        yield each


def _answered(response: Sequence[Buffer]) -> list[Buffer]:
    """Write the answer to a request whose ModelInferResponse these parts are."""
    return nested(_INFER_RESPONSE, [_FINAL, *response])


def _failed(error: ServeError, request: bytes) -> list[Buffer]:
    """Write the answer to a request that failed; its id tells the client which of them it was."""
    named = pb.ModelInferResponse(id=_id_of(request))
    return [pb.ModelStreamInferResponse(error_message=sentence(error), infer_response=named).SerializeToString()]


def _id_of(request: bytes) -> str:
    try:
        return text(request, _ID)[0]
    except BadRequest:
        return ""
