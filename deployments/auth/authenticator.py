"""Checks a request's token: from the `Authorization: Bearer` header, or from gRPC metadata of that name.

Without `auth` in the config there is no authenticator, and the check is one comparison with None.
"""

from collections.abc import Iterable
from typing import Any

from configs.schema import AuthConfig

from ..core.errors import Forbidden, ServeError, Unauthorized
from .token_store import TokenStore
from .tokens import find

AUTHORIZATION = b"authorization"
_SCHEME = b"bearer "


class Authenticator:
    """Protects one model, or the server's own pages if `model` is None."""

    def __init__(self, store: TokenStore, model: str | None) -> None:
        self._store = store
        self._model = model

    def refusal(self, given: bytes | None) -> ServeError | None:
        """Return why the sender of this Authorization header is refused: Unauthorized or Forbidden; else None."""
        if given is None or given[: len(_SCHEME)].lower() != _SCHEME:
            return Unauthorized()
        token = find(self._store.tokens(), given[len(_SCHEME) :].strip())
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


def open_authenticator(config: AuthConfig | None, model: str | None) -> Authenticator | None:
    """Return the authenticator of a config; raises ConfigError if its tokens cannot be read."""
    return None if config is None else Authenticator(TokenStore(config), model)


def authorization(metadata: Iterable[tuple[str, Any]] | None) -> bytes | None:
    """Return the authorization in a gRPC call's metadata, whose names are in lower case."""
    for name, value in metadata or ():
        if name == "authorization":
            return value if isinstance(value, bytes) else str(value).encode("utf-8", "replace")
    return None
