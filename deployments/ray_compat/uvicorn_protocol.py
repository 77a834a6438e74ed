"""uvicorn's HTTP protocol, from which ../http/server_protocol.py and ../http/short_path.py derive theirs.

They are defined also where uvicorn has moved its classes, and then never used.
"""

from collections.abc import Callable
from importlib import import_module
from typing import TYPE_CHECKING, Any

from .names import Part, classes, fields, functions, usable, values

__all__ = ["HttpToolsProtocol", "RequestResponseCycle", "leaving", "protocol_usable", "set_protocol"]

_IMPL = "uvicorn.protocols.http.httptools_impl"
PROTOCOL = Part(
    "uvicorn's HTTP protocol",
    "HTTP requests go through uvicorn and Serve's wrapper, which is slower; "
    "uvicorn alone treats upgrades, long heads and answers that come before the body was read",
    (
        *values("uvicorn.config", "HTTP_PROTOCOLS.auto"),
        *classes(_IMPL, {"HttpToolsProtocol": "config server_state app_state", "RequestResponseCycle": "..."}),
        *functions(
            _IMPL,
            {
                "HttpToolsProtocol._unset_keepalive_if_required": "",
                "HttpToolsProtocol._should_upgrade": "",
                "HttpToolsProtocol.on_message_begin": "",
                "HttpToolsProtocol.on_header": "name value",
                "HttpToolsProtocol.on_headers_complete": "",
                "HttpToolsProtocol.on_message_complete": "",
                "HttpToolsProtocol.send_400_response": "msg",
                "HttpToolsProtocol.shutdown": "",
                "RequestResponseCycle.send": "message",
            },
        ),
        *fields(_IMPL, "HttpToolsProtocol", "parser cycle scope url headers transport flow loop server_state"),
        *fields(_IMPL, "HttpToolsProtocol", "timeout_keep_alive timeout_keep_alive_task"),
        *fields(_IMPL, "RequestResponseCycle", "response_started response_complete more_body message_event"),
        *fields(_IMPL, "RequestResponseCycle", "disconnected keep_alive transport"),
        *fields(_IMPL, "RequestResponseCycle", "__dict__"),  # Without slots its class can be changed.
        *fields("uvicorn.protocols.http.flow_control", "FlowControl", "pause_reading resume_reading"),
        *fields("uvicorn.server", "ServerState", "default_headers"),
    ),
)
CLIENT = Part(
    "whether uvicorn has lost a client",
    "a request costs a forward though its client has left",
    (*fields(_IMPL, "RequestResponseCycle", "disconnected"), *functions(_IMPL, {"RequestResponseCycle.receive": ""})),
)

if TYPE_CHECKING:
    from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle
else:

    def _class(name: str) -> type:
        try:
            return getattr(import_module(_IMPL), name)
        except (ImportError, AttributeError):
            return object

    HttpToolsProtocol, RequestResponseCycle = _class("HttpToolsProtocol"), _class("RequestResponseCycle")


def protocol_usable() -> bool:
    """Whether classes derived from the two above may be used."""
    return usable(PROTOCOL)


def set_protocol(path: str) -> None:
    """Let every uvicorn server that this process starts from now on use a class, by its import path."""
    if usable(PROTOCOL):
        import uvicorn.config

        uvicorn.config.HTTP_PROTOCOLS["auto"] = path


def leaving(receive: Any) -> Callable[[], bool] | None:
    """Return what tells whether the client has left, or None where this server does not say.

    uvicorn notes it on the object that `receive` belongs to; asking there costs nothing, where awaiting `receive`
    would cost every request a task.
    """
    owner: Any = getattr(receive, "__self__", None)
    if not usable(CLIENT) or getattr(owner, "disconnected", None) is None:
        return None
    return lambda: bool(owner.disconnected)
