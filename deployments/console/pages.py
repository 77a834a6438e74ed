"""The console's files: the page at `/`, and what it loads from /console. They hold no figures and need no token."""

from pathlib import Path
from typing import Any

from ..http.bodies import Scope
from ..http.router import Route
from ..http.static_files import static_routes

_PREFIX = "/console"


def pages() -> dict[str, Route[Any]]:
    """Return the routes by their paths, without a slash at the end: the page itself has the path ""."""
    found = static_routes(Path(__file__).parent / "static", _PREFIX)
    return {path if path != _PREFIX else "": route for path, route in found.items()}


def wants_html(scope: Scope) -> bool:
    """Whether a request comes from a browser that opens a page; curl and most libraries accept anything."""
    return any(name == b"accept" and b"text/html" in value for name, value in scope["headers"])
