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
from .service import Config, Wish
from .stand import PITSTOP, RAY_SERVE, Stand, StandError, again, until

_MAKES: dict[str, Callable[[Wish, Path, dict[str, str]], Config]] = {
    PITSTOP: service.pitstop,
    RAY_SERVE: service.ray_serve,
}
_START_S = 300.0


@contextmanager
def standing(server: str, wish: Wish) -> Iterator[Stand]:
    """Serve the line model. Yields when it answers and all replicas run.

    Raises:
        StandError: it does not come up.
    """
    with Ports() as ports, tempfile.TemporaryDirectory(prefix="pr-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        (folder / "trouble").mkdir()
        stand = start(server, wish, folder, ports)
        try:
            ready(stand)
            yield stand
        finally:
            stand.end()


def prepared(server: str, wish: Wish, folder: Path, ports: Ports) -> Stand:
    """Write the config; nothing runs yet."""
    own = {**ports.of_serve(folder), service.DRAIN: f"{wish.drain_s:g}"}
    if wish.every_node:
        # Each node gets its own from where it is started; what stands in the config would be all nodes'.
        own = {name: value for name, value in own.items() if name not in nodes.PER_NODE}
    raw = _MAKES[server](wish, folder, own)
    raw["http_options"]["port"] = port = ports.one()
    if wish.nodes and not wish.every_node:
        # All nodes are one machine here, which has each port once.
        raw["proxy_location"] = "HeadOnly"
    grpc_port = ports.one() if wish.grpc else 0
    if grpc_port:
        application(raw, "root")["args"]["grpc_port"] = grpc_port
    config, mark = folder / "config.yaml", processes.new_mark()
    config.write_text(yaml.safe_dump(raw, sort_keys=False))
    env = {**isolated_server.environment(folder, mark), "PITSTOP_CACHE": str(folder / "cache")}
    return Stand(server, wish, port, folder, mark, config, env, grpc_port=grpc_port)


def start(server: str, wish: Wish, folder: Path, ports: Ports) -> Stand:
    """Start it, and return before it is ready."""
    stand = prepared(server, wish, folder, ports)
    if wish.nodes:
        return nodes.start(stand, ports, wish.nodes)
    again(stand)
    return stand


def ready(stand: Stand, within_s: float = _START_S) -> None:
    """Wait until it answers with all of its replicas."""

    def up() -> bool:
        if stand.process is not None and stand.process.poll() is not None:
            raise StandError(f"the server ended: {stand.log.strip().splitlines()[-3:]}")
        # HAProxy is loaded anew for each application until then, and closes connections.
        announced = stand.server == RAY_SERVE or stand.wish.nodes > 0 or "pitstop is ready" in stand.log
        return announced and len(stand.replicas()) >= stand.wish.replicas and stand.answers()

    if not until(up, within_s):
        raise StandError(f"not ready after {within_s:.0f} s: {stand.log.strip().splitlines()[-3:]}")
