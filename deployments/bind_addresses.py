"""The addresses on which our own servers listen: none wider than http_options.host.

Serve opens the replicas' gRPC ports on every interface and has no setting for it, so `narrow_grpc` replaces the
address. configs/lint/exposed_ports.py lists the ports that stay open.
"""

import os

from configs.lint.exposed_ports import PortSetting, exposed_ports, is_open, sentence
from configs.schema import RootConfig

from .ray_compat import controller, servers

LOCAL = "127.0.0.1"
_THIS_MACHINE = (LOCAL, "::1", "localhost")


def on(host: str, port: int) -> str:
    """Return the address as gRPC takes it; every interface includes those of IPv6."""
    if is_open(host):
        return f"[::]:{port}"
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


async def http_host() -> str:
    """Return http_options.host, or this machine's own address if Serve does not say."""
    return (await _setting(RootConfig())).http_host


async def reachable_ports(config: RootConfig) -> str:
    """Return a sentence that names the ports open to the network; empty if there are none."""
    return sentence(list(exposed_ports(await _setting(config))))


async def _setting(config: RootConfig) -> PortSetting:
    options = await controller.options()
    if options is None:
        return PortSetting(LOCAL, 8000, None, config.grpc_port, config.grpc_host, os.environ)
    http, grpc = options
    serve_grpc = int(grpc.port) if grpc.grpc_servicer_functions else None
    return PortSetting(
        str(http.host or LOCAL), int(http.port), serve_grpc, config.grpc_port, config.grpc_host, os.environ
    )


async def narrow_grpc() -> None:
    """Let the gRPC servers that Serve starts in this process listen on this machine only, if HTTP does."""
    host = await http_host()
    if host not in _THIS_MACHINE:  # HAProxy connects to 127.0.0.1, whatever the host is.
        return
    servers.set_grpc_address(lambda address: on(host, int(address.rpartition(":")[2])))
