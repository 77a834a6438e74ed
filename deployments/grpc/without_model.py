"""The RPCs of the root application, which serves no model. Only a client that names it gets here.

Without them Serve would answer with the text of an exception: no such method.
"""

from collections.abc import AsyncIterator
from typing import Any, TypeVar

from ..core.errors import NotFound
from .calls import METHODS, SerializedMessage
from .status import Context, refuse

_SAYS = "the application asked serves no model: name a model's, or call the root's grpc_port without naming one"
Class = TypeVar("Class", bound=type)


def without_model(owner: Class) -> Class:
    """Give an ingress class methods that refuse."""
    for name in METHODS:
        setattr(owner, name, _stream if name == "ModelStreamInfer" else _unary)
    return owner


async def _unary(_self: object, _request: bytes, grpc_context: Context) -> SerializedMessage:
    refuse(grpc_context, NotFound(_SAYS))
    return SerializedMessage()


async def _stream(_self: object, _requests: AsyncIterator[bytes], grpc_context: Context) -> AsyncIterator[Any]:
    raise refuse(grpc_context, NotFound(_SAYS))  # A stream that yields nothing has no other way to tell.
    yield
