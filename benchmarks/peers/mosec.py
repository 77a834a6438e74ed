"""mosec, https://github.com/mosecorg/mosec."""

from .codecs import plain
from .peer import Batching, Command, Launch, Peer


def _command(launch: Launch) -> Command:
    return Command(
        (str(launch.python), "-m", "benchmarks.peers.apps.mosec_app"),
        {
            "MOSEC_ADDRESS": "127.0.0.1",
            "MOSEC_PORT": str(launch.port),
            "MOSEC_TIMEOUT": "120000",
            "MOSEC_PATH": str(launch.folder / "ipc"),
            "MOSEC_LOG_LEVEL": "error",
        },
    )


PEER = Peer(
    name="mosec",
    packages=("mosec==0.9.8",),
    settings="orjson in place of its default codec",
    # One millisecond is its shortest wait. With as many rows as connections each batch would wait for the last of them.
    batching={"mlp": Batching(32, 1), "resnet50": Batching(8, 10), "minilm": Batching(16, 1)},
    command=_command,
    ready=lambda _: "/",
    codec=plain("/inference"),
    wait_on_gpu_ms=1,
)
