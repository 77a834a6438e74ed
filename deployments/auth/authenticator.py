"""Lets in whoever shows a token that opens the model: the `Authorization: Bearer` header, or metadata of that name.

Without `auth` in the config there is no guard, and a request costs one comparison with None.
"""

from collections.abc import Iterable
from typing import Any

from configs.schema import AuthConfig

from ..core.errors import Forbidden, ServeError, Unauthorized
from .token_store import Source
from .tokens import find

AUTHORIZATION = b"authorization"
_SCHEME = b"bearer "


class Guard:
    """Stands before one model, or, where `model` is None, before the server's own pages."""

    def __init__(self, source: Source, model: str | None) -> None:
        self._source = source
        self._model = model

    def refusal(self, given: bytes | None) -> ServeError | None:
        """Return what keeps the sender of this Authorization header out: Unauthorized, Forbidden or nothing."""
        if given is None or given[: len(_SCHEME)].lower() != _SCHEME:
            return Unauthorized()
        token = find(self._source.tokens(), given[len(_SCHEME) :].strip())
        if token is None:
            return Unauthorized()
        return None if token.opens(self._model) else Forbidden()

    def check(self, given: bytes | None) -> None:
        """As `refusal`, raised."""
        refused = self.refusal(given)
        if refused is not None:
            raise refused

    def check_metadata(self, metadata: Iterable[tuple[str, Any]] | None) -> None:
        """As `check`, for a gRPC call's metadata."""
        self.check(authorization(metadata))


def open_guard(config: AuthConfig | None, model: str | None) -> Guard | None:
    """Return the guard that a config asks for; raises ConfigError where its tokens cannot be read."""
    return None if config is None else Guard(Source(config), model)


def authorization(metadata: Iterable[tuple[str, Any]] | None) -> bytes | None:
    """Return what a gRPC call's metadata has as its authorization; names of metadata are in lower case."""
    for name, value in metadata or ():
        if name == "authorization":
            return value if isinstance(value, bytes) else str(value).encode("utf-8", "replace")
    return None
