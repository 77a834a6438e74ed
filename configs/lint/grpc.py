"""Rules for a config that serves gRPC: pitstop's service on Serve's port, and a port of its own for the gRPC proxy."""

from collections.abc import Iterator, Mapping
from typing import Any

from ..problems import Keys, Problem, child, items, mapping, where
from .applications import ROOT

SERVICE = "deployments.grpc.service:add_to_server"
_FUNCTIONS: Keys = ("grpc_options", "grpc_servicer_functions")
_SERVE_PORT: Keys = ("grpc_options", "port")
_HTTP_PORT: Keys = ("http_options", "port")


def grpc_rules(raw: Mapping[str, Any]) -> Iterator[Problem]:
    """Yield the problems of a config's gRPC ports."""
    grpc_proxy = _grpc_proxy(raw)
    functions = mapping(raw, "grpc_options").get("grpc_servicer_functions")
    serves = isinstance(functions, list) and bool(functions)
    if isinstance(functions, list) and SERVICE not in functions:
        what = f"does not have {SERVICE}: Serve's gRPC port would serve no model"
        yield Problem(_FUNCTIONS, where(raw, _FUNCTIONS), what, f"write `grpc_servicer_functions: [{SERVICE}]`")
    if serves and grpc_proxy is None:
        yield from _without_grpc_proxy(raw)
    taken: dict[object, Keys] = {_port(raw, _HTTP_PORT, 8000): _HTTP_PORT}
    others = [(_SERVE_PORT, _port(raw, _SERVE_PORT, 9000))] if serves else []
    for keys, port in [*others, *([grpc_proxy] if grpc_proxy else [])]:
        if port in taken:
            what = f"is {port}, the same as {where(raw, taken[port])}"
            yield Problem(
                keys, where(raw, keys), what, "give each its own port; Triton uses 8000 for HTTP and 8001 for gRPC"
            )
        taken[port] = keys


def _without_grpc_proxy(raw: Mapping[str, Any]) -> Iterator[Problem]:
    for index, app in items(raw, "applications"):
        if app.get("import_path") == ROOT:
            keys: Keys = ("applications", index, "args", "grpc_port")
            what = "is missing: gRPC clients that do not send the application in their metadata find no model"
            yield Problem(
                keys, where(raw, keys), what, "write `args: {grpc_port: 8001}`, the port that Triton uses", "warning"
            )


def _grpc_proxy(raw: Mapping[str, Any]) -> tuple[Keys, object] | None:
    """Return the keys of the root application's grpc_port, and the port."""
    for index, app in items(raw, "applications"):
        port = mapping(app, "args").get("grpc_port")
        if app.get("import_path") == ROOT and port is not None:
            return ("applications", index, "args", "grpc_port"), port
    return None


def _port(raw: object, keys: Keys, default: int) -> object:
    for key in keys:
        raw = child(raw, key)
    return default if raw is None else raw
