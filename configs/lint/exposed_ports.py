"""The ports that a config opens to the network, including those that do not follow `http_options.host`.

Read from Ray Serve 2.60's sources; docs/security.md says how to close each.
"""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from ..problems import child, items, mapping
from .applications import ROOT

_ANY = ("", "*", "0.0.0.0", "::")
_LOCAL = "127.0.0.1"
_HAPROXY = "RAY_SERVE_ENABLE_HA_PROXY"
Env = Mapping[str, Any]


class ExposedPort(NamedTuple):
    """A port on every interface, and what answers there; `chosen` if the config asks for it.

    `port` is None for a port of each replica, which Ray chooses from the free ones.
    """

    port: int | None
    what: str
    chosen: bool = False


class PortSetting(NamedTuple):
    """What decides which ports are open. `serve_grpc` and `grpc_proxy` are ports, None if they are off."""

    http_host: str
    http_port: int
    serve_grpc: int | None
    grpc_proxy: int | None
    grpc_proxy_host: str | None
    env: Env


def is_open(host: str) -> bool:
    """Whether a server on this address accepts connections from other machines on every interface."""
    return host in _ANY


def exposed_ports(setting: PortSetting) -> Iterator[ExposedPort]:
    """Yield those ports of pitstop and Serve that are open to the network."""
    http_open = is_open(setting.http_host)
    haproxy = str(setting.env.get(_HAPROXY, "0")) == "1"
    if http_open:
        yield ExposedPort(setting.http_port, "HTTP", True)
    if setting.grpc_proxy is not None and is_open(setting.grpc_proxy_host or setting.http_host):
        yield ExposedPort(setting.grpc_proxy, "gRPC for any client", True)
    if setting.serve_grpc is not None and (http_open or not haproxy):
        yield ExposedPort(setting.serve_grpc, "Serve's gRPC", http_open)
    if haproxy:
        yield ExposedPort(number(setting.env, "RAY_SERVE_HAPROXY_STATS_PORT", 8404), "HAProxy's statistics page")
        yield ExposedPort(number(setting.env, "RAY_SERVE_HAPROXY_METRICS_PORT", 9101), "HAProxy's metrics")
        if setting.serve_grpc is not None:
            yield ExposedPort(number(setting.env, "RAY_SERVE_FALLBACK_PROXY_GRPC_PORT", 9500), "Serve's fallback gRPC")
    without_token = str(setting.env.get("RAY_AUTH_MODE", "")) == "disabled"
    how = "without a token, because RAY_AUTH_MODE is disabled" if without_token else "protected by Ray's token"
    yield ExposedPort(None, f"calls between replicas, which unpickle what they receive, {how}")


def setting_of(raw: Mapping[str, Any]) -> PortSetting:
    """Read the deciding values from a config file."""
    http, grpc = mapping(raw, "http_options"), mapping(raw, "grpc_options")
    roots = [app for _, app in items(raw, "applications") if app.get("import_path") == ROOT]
    args = mapping(roots[0], "args") if roots else {}
    return PortSetting(
        http_host=str(http.get("host") or _LOCAL),
        http_port=number(http, "port", 8000),
        serve_grpc=number(grpc, "port", 9000) if child(grpc, "grpc_servicer_functions") else None,
        grpc_proxy=number(args, "grpc_port", 8001) if args.get("grpc_port") else None,
        grpc_proxy_host=args.get("grpc_host"),
        env=mapping(raw, "controller_options", "runtime_env", "env_vars"),
    )


def sentence(found: list[ExposedPort]) -> str:
    """List the open ports in one sentence; empty if there are none."""
    if not found:
        return ""
    listed = ", ".join(f"{each.port or 'one port of each replica'} ({each.what})" for each in found)
    return f"open to the network: {listed}. docs/security.md says how to close each"


def number(values: Mapping[str, Any], key: str, default: int) -> int:
    """Return the whole number under a key; the default where there is none."""
    try:
        return int(str(values.get(key)))
    except ValueError:
        return default
