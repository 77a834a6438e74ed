"""Ray Serve as its documentation writes it: its default proxy, a Starlette request and @serve.batch."""

import yaml

from .codecs import plain
from .peer import Batching, Command, Launch, Peer


def _command(launch: Launch) -> Command:
    config = launch.folder / "config.yaml"
    config.write_text(yaml.safe_dump(_config(launch.port)))
    # The token that Ray otherwise asks of its commands would be written into the home directory.
    env = {"RAY_TMPDIR": str(launch.folder), "RAY_AUTH_MODE": "disabled"}
    return Command((str(launch.python), "-m", "ray.serve.scripts", "run", str(config)), env)


def _config(port: int) -> dict[str, object]:
    app = {"name": "served", "route_prefix": "/served", "import_path": "benchmarks.peers.apps.ray_serve_app:app"}
    return {"http_options": {"host": "127.0.0.1", "port": port}, "applications": [app]}


PEER = Peer(
    name="Ray Serve",
    packages=(),
    settings="the usual way: default proxy, Starlette request, @serve.batch; max_ongoing_requests raised to 256",
    batching={"mlp": Batching(64, 0), "resnet50": Batching(8, 10), "minilm": Batching(16, 2)},
    command=_command,
    ready=lambda _: "/-/healthz",
    codec=plain("/served"),
    wait_on_gpu_ms=2,
)
