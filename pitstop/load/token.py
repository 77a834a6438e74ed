"""The token that requests carry, from the environment: what stands in a flag, everybody on the machine sees in `ps`."""

import os

from .errors import LoadError

VARIABLE = "PITSTOP_TOKEN"


def token_header() -> dict[str, str]:
    """Return the header that carries the token; empty where there is none."""
    given = os.environ.get(VARIABLE, "").strip()
    if not given:
        return {}
    if not given.isascii() or not given.isprintable() or " " in given:
        raise LoadError(f"the variable {VARIABLE} holds more than a token", "put one token into it, without a space")
    return {"Authorization": f"Bearer {given}"}


def token_metadata() -> tuple[tuple[str, str], ...]:
    """Return the same as metadata of a gRPC call, whose names are in lower case."""
    return tuple((name.lower(), value) for name, value in token_header().items())
