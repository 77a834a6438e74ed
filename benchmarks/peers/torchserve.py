"""TorchServe, https://github.com/pytorch/serve; archived by its makers in 2025, and still widely run."""

import json
from pathlib import Path

from ..device import chosen
from .codecs import plain
from .peer import Batching, Command, Launch, Peer

_HANDLER = "from benchmarks.peers.apps.torchserve_app import handle\n"
_LOGGING = """<?xml version="1.0" encoding="UTF-8"?>
<Configuration><Appenders><Console name="C"><PatternLayout pattern="%p %c %m%n"/></Console></Appenders>
<Loggers><Root level="warn"><AppenderRef ref="C"/></Root></Loggers></Configuration>
"""


def _command(launch: Launch) -> Command:
    store = launch.folder / "store"
    _archive(store / "served" / "MAR-INF", store / "served")
    (launch.folder / "log4j2.xml").write_text(_LOGGING)
    properties = launch.folder / "config.properties"
    properties.write_text(_properties(launch))
    argv = ("--start", "--foreground", "--ncs", "--disable-token-auth", "--model-store", str(store))
    files = ("--ts-config", str(properties), "--log-config", str(launch.folder / "log4j2.xml"), "--models", "all")
    # Its process id file and its sockets go where TMPDIR says.
    env = {"TMPDIR": str(launch.folder), "TEMP": str(launch.folder), "LOG_LOCATION": str(launch.folder)}
    return Command((str(launch.python), "-m", "ts.model_server", *argv, *files), env)


def _archive(info: Path, folder: Path) -> None:
    """Write what torch-model-archiver would write for a model that is one handler."""
    info.mkdir(parents=True)
    (folder / "handler.py").write_text(_HANDLER)
    model = {"modelName": "served", "handler": "handler.py", "modelVersion": "1.0"}
    (info / "MANIFEST.json").write_text(json.dumps({"runtime": "python", "archiverVersion": "0.12.0", "model": model}))


def _properties(launch: Launch) -> str:
    batching = launch.batching
    workers = {"minWorkers": chosen().workers, "maxWorkers": chosen().workers, "responseTimeout": 120}
    batch = {"batchSize": batching.max_batch_size, "maxBatchDelay": int(batching.wait_ms or 0)}
    model = {"defaultVersion": True, "marName": "served", **workers, **batch}
    return "\n".join(
        [
            f"inference_address=http://127.0.0.1:{launch.port}",
            f"management_address=http://127.0.0.1:{launch.port + 1}",
            f"metrics_address=http://127.0.0.1:{launch.port + 2}",
            "enable_envvars_config=false",
            "disable_system_metrics=true",
            "job_queue_size=1024",
            f"models={json.dumps({'served': {'1.0': model}})}",
        ]
    )


PEER = Peer(
    name="TorchServe",
    packages=("torchserve==0.12.0",),
    settings="log level warn, no system metrics",
    # With no delay at all it looks for requests every 100 ms.
    batching={"mlp": Batching(64, 1), "resnet50": Batching(8, 10), "minilm": Batching(16, 1)},
    command=_command,
    ready=lambda _: "/ping",
    codec=plain("/predictions/served"),
    wait_on_gpu_ms=1,
)
