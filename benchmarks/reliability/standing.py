"""Starts the server that a case wants, apart from all else on the machine, and waits until all of it is there."""

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import yaml

from configs.document import application
from pitstop import isolated_server, processes
from pitstop.ports import Ports

from . import nodes, service
from .server_under_test import PITSTOP, RAY_SERVE, ServerError, ServerUnderTest, again, until
from .service import Config, ServiceOptions

_MAKES: dict[str, Callable[[ServiceOptions, Path, dict[str, str]], Config]] = {
    PITSTOP: service.pitstop,
    RAY_SERVE: service.ray_serve,
}
_START_S = 300.0


@contextmanager
def standing(server: str, options: ServiceOptions) -> Iterator[ServerUnderTest]:
    """Serve the line model. Yields when it answers and all replicas run.

    Raises:
        ServerError: it does not come up.
    """
    with Ports() as ports, tempfile.TemporaryDirectory(prefix="pr-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        (folder / "trouble").mkdir()
        tested = start(server, options, folder, ports)
        try:
            ready(tested)
            yield tested
        finally:
            tested.end()


def prepared(server: str, options: ServiceOptions, folder: Path, ports: Ports) -> ServerUnderTest:
    """Write the config; nothing runs yet."""
    own = {**ports.of_serve(folder), service.DRAIN: f"{options.drain_s:g}"}
    if options.every_node:
        # Each node gets its own from where it is started; what stands in the config would be all nodes'.
        own = {name: value for name, value in own.items() if name not in nodes.PER_NODE}
    raw = _MAKES[server](options, folder, own)
    raw["http_options"]["port"] = port = ports.one()
    if options.nodes and not options.every_node:
        # All nodes are one machine here, which has each port once.
        raw["proxy_location"] = "HeadOnly"
    grpc_port = ports.one() if options.grpc else 0
    if grpc_port:
        application(raw, "root")["args"]["grpc_port"] = grpc_port
    config, mark = folder / "config.yaml", processes.new_mark()
    config.write_text(yaml.safe_dump(raw, sort_keys=False))
    env = {**isolated_server.environment(folder, mark), "PITSTOP_CACHE": str(folder / "cache")}
    return ServerUnderTest(server, options, port, folder, mark, config, env, grpc_port=grpc_port)


def start(server: str, options: ServiceOptions, folder: Path, ports: Ports) -> ServerUnderTest:
    """Start it, and return before it is ready."""
    tested = prepared(server, options, folder, ports)
    if options.nodes:
        return nodes.start(tested, ports, options.nodes)
    again(tested)
    return tested


def ready(tested: ServerUnderTest, within_s: float = _START_S) -> None:
    """Wait until it answers with all of its replicas."""

    def up() -> bool:
        if tested.process is not None and tested.process.poll() is not None:
            raise ServerError(f"the server ended: {tested.log.strip().splitlines()[-3:]}")
        # HAProxy is loaded anew for each application until then, and closes connections.
        announced = tested.server == RAY_SERVE or tested.options.nodes > 0 or "pitstop is ready" in tested.log
        return announced and len(tested.replicas()) >= tested.options.replicas and tested.answers()

    if not until(up, within_s):
        raise ServerError(f"not ready after {within_s:.0f} s: {tested.log.strip().splitlines()[-3:]}")
