"""LitServe, https://github.com/Lightning-AI/LitServe."""

from .codecs import plain
from .peer import Batching, Command, Launch, Peer


def _command(launch: Launch) -> Command:
    return Command((str(launch.python), "-m", "benchmarks.peers.apps.litserve_app"))


PEER = Peer(
    name="LitServe",
    packages=("litserve==0.2.19",),
    settings="one API server, fast_queue (ZeroMQ), no access log",
    batching={"mlp": Batching(64, 0), "resnet50": Batching(8, 10), "minilm": Batching(16, 1)},
    command=_command,
    ready=lambda _: "/health",
    codec=plain("/predict"),
)
