"""How long a server that stops lets the requests in progress go on, by Serve's variable for it."""

from collections.abc import Mapping
from typing import Any

_VARIABLE, _SERVES_OWN_S = "RAY_SERVE_PROXY_GRACEFUL_SHUTDOWN_TIMEOUT_S", 5.0


def drain_s(variables: Mapping[str, Any]) -> float:
    """Return the seconds, by these environment variables; where they have none, or no number, Serve's own."""
    try:
        return float(variables.get(_VARIABLE, _SERVES_OWN_S))
    except (TypeError, ValueError):
        return _SERVES_OWN_S
