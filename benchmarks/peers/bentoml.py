"""BentoML, https://github.com/bentoml/BentoML."""

import json
from collections.abc import Callable
from typing import Any

import numpy as np

from deployments.http_client.reply import Reply

from ..workloads import Array, Workload
from .codecs import Codec, as_json, base64_of, numbers
from .peer import Batching, Command, Launch, Peer


def _command(launch: Launch) -> Command:
    where = ("--host", "127.0.0.1", "--port", str(launch.port))
    return Command(
        (str(launch.python), "-m", "bentoml", "serve", "benchmarks.peers.apps.bentoml_app:Served", *where),
        {"BENTOML_DO_NOT_TRACK": "true", "BENTOML_HOME": str(launch.folder / "home")},
    )


def _codec(workload: Workload) -> Codec:
    path = {"mlp": "/vectors", "resnet50": "/images", "minilm": "/sentences"}[workload.name]
    values: dict[str, Callable[[Any], object]] = {"mlp": numbers, "resnet50": base64_of, "minilm": str}
    value = values[workload.name]
    return Codec(path, lambda each: as_json({"x": [value(each)]}), _answer)


def _answer(answer: Reply) -> Array:
    return np.asarray(json.loads(answer.body), np.float32).ravel()


PEER = Peer(
    name="BentoML",
    packages=("bentoml==1.4.40",),
    settings="adaptive batching, no metrics, no access log; images as base64, since it has no binary body",
    batching={"mlp": Batching(64, None), "resnet50": Batching(8, None), "minilm": Batching(16, None)},
    command=_command,
    ready=lambda _: "/readyz",
    codec=_codec,
    wait_on_gpu_ms=None,
)
