"""On which addresses our own servers listen: no wider than http_options.host says for HTTP.

Serve opens the replicas' gRPC ports on every interface, whatever its options say; it has no setting for it, so
`narrow_grpc` puts our address in the place of Serve's. configs/doors.py lists the ports that stay open anyway.
"""

import logging
import os
from typing import Any

from ray.serve.context import _get_global_client

from configs.doors import Setting, doors, is_open, sentence
from configs.schema import RootConfig

LOCAL = "127.0.0.1"
_THIS_MACHINE = (LOCAL, "::1", "localhost")
_log = logging.getLogger("pitstop")


def on(host: str, port: int) -> str:
    """Return the address as gRPC takes it; every interface includes those of IPv6."""
    if is_open(host):
        return f"[::]:{port}"
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


async def http_host() -> str:
    """Return http_options.host; this machine only, where Serve does not say."""
    return (await _setting(RootConfig())).http_host


async def open_doors(config: RootConfig) -> str:
    """Return a sentence that names what the network reaches; empty where that is nothing."""
    return sentence(list(doors(await _setting(config))))


async def _setting(config: RootConfig) -> Setting:
    client: Any = _get_global_client()
    try:
        http = await client._controller.get_http_config.remote()
        grpc = await client._controller.get_grpc_config.remote()
        host, port = str(http.host or LOCAL), int(http.port)
        serve_grpc = int(grpc.port) if grpc.grpc_servicer_functions else None
    except AttributeError as error:
        _log.warning("this Ray does not tell its ports (%s): ours listen on %s only", error, LOCAL)
        host, port, serve_grpc = LOCAL, 8000, None
    return Setting(host, port, serve_grpc, config.grpc_port, config.grpc_host, os.environ)


async def narrow_grpc() -> None:
    """Let the gRPC servers that Serve starts in this process listen on this machine only, where HTTP does."""
    host = await http_host()
    if host not in _THIS_MACHINE:  # HAProxy comes by 127.0.0.1, whatever other address the host is.
        return
    from ray.serve._private import default_impl

    private: Any = default_impl
    original = getattr(private, "add_grpc_address", None)
    if original is None:
        _log.warning("this Ray has no add_grpc_address: the replicas' gRPC ports listen on every interface")
        return

    def narrowed(server: Any, address: str) -> None:
        original(server, on(host, int(address.rpartition(":")[2])))

    private.add_grpc_address = narrowed
