"""Ten networks behind one start, asked at once over HTTP and gRPC; each answer is the eager network's own.

tests/coverage/ has these networks and many more without Ray.
"""

import json
import random
import struct
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest
import requests
import torch
from safetensors.torch import save_file

from configs.document import application
from configs.loader import parse_model
from configs.schema import ModelConfig
from deployments.core.request import InferRequest
from deployments.stubs import open_inference_pb2 as pb
from deployments.stubs.open_inference_pb2_grpc import GRPCInferenceServiceStub
from models.runtime.dims import below
from models.signature import NUMPY, Array
from tests.coverage.cases import CASES, Case
from tests.coverage.eager import Eager
from tests.coverage.harness import Asked, compared, requests_of
from tests.coverage.networks.vision import Cnn
from tests.e2e.conftest import model
from tests.serving import PROJECT, SHORT, Serving, serve_run

pytestmark = pytest.mark.ray

TEN = [
    "cnn",  # Its weights are a file.
    "unet",
    "ner",
    "jpeg-labels",
    "detector-list",
    "text-beside-audio",
    "lstm-packed",
    "vae",
    "graph-degrees",
    "only-an-example",
]
NETWORKS = [each for each in CASES if each.name in TEN]
REQUESTS, CLIENTS = 20, 16


@dataclass(frozen=True, slots=True)
class Running:
    """The server, and each network's config with what the server found where the YAML leaves it out."""

    serving: Serving
    configs: dict[str, ModelConfig]


@pytest.fixture(scope="module")
def running(cache: object, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:  # noqa: ARG001
    folder: Path = tmp_path_factory.mktemp("networks")
    save_file(Cnn().state_dict(), folder / "cnn.safetensors")  # type: ignore[no-untyped-call]
    args = {case.name: args_of(case, folder) for case in NETWORKS}

    def networks(raw: dict[str, Any]) -> None:
        raw["applications"] = [application(raw, "root"), *({**model(name), "args": own} for name, own in args.items())]

    with serve_run(PROJECT / "serve_config.yaml", SHORT, networks) as serving:
        yield Running(serving, {name: config_of(serving, own) for name, own in args.items()})


def args_of(case: Case, folder: Path) -> dict[str, Any]:
    args = {**case.args, "device": "cpu", "num_cpus": 0.1}
    source = args["source"]
    if "weights" in source:
        source["weights"] = str(folder / source["weights"])
    return args


def config_of(serving: Serving, args: dict[str, Any]) -> ModelConfig:
    metadata = requests.get(serving.model(args["name"]), timeout=30).json()
    return parse_model({key: metadata[key] for key in ("inputs", "outputs")} | args)


def by_json(serving: Serving, config: ModelConfig, request: InferRequest) -> dict[str, Array]:
    inputs = [
        {"name": name, "datatype": datatype, "shape": list(array.shape), "data": array.tolist()}
        for name, datatype, array in tensors(config, request)
    ]
    body = {"inputs": inputs, "parameters": parameters(request)}
    answer = requests.post(f"{serving.model(config.name)}/infer", json=body, timeout=60)
    assert answer.status_code == 200, (config.name, answer.text)
    return {
        each["name"]: array_of(each["datatype"], each["data"]).reshape(each["shape"])
        for each in answer.json()["outputs"]
    }


def by_binary(serving: Serving, config: ModelConfig, request: InferRequest) -> dict[str, Array]:
    inputs, tail = list[dict[str, Any]](), b""
    for name, datatype, array in tensors(config, request):
        raw = written(array)
        size = {"binary_data_size": len(raw)}
        inputs.append({"name": name, "datatype": datatype, "shape": list(array.shape), "parameters": size})
        tail += raw
    body = {"inputs": inputs, "parameters": {"binary_data_output": True, **parameters(request)}}
    head = json.dumps(body).encode()
    headers = {"Inference-Header-Content-Length": str(len(head))}
    answer = requests.post(f"{serving.model(config.name)}/infer", data=head + tail, headers=headers, timeout=60)
    assert answer.status_code == 200, (config.name, answer.text)
    length, found = int(answer.headers["Inference-Header-Content-Length"]), {}
    rest = answer.content[length:]
    for each in json.loads(answer.content[:length])["outputs"]:
        size = each["parameters"]["binary_data_size"]
        found[each["name"]] = read(each["datatype"], rest[:size]).reshape(each["shape"])
        rest = rest[size:]
    assert rest == b""
    return found


def by_grpc(serving: Serving, config: ModelConfig, request: InferRequest) -> dict[str, Array]:
    message = pb.ModelInferRequest(model_name=config.name)
    for name, datatype, array in tensors(config, request):
        message.inputs.add(name=name, datatype=datatype, shape=array.shape)
        message.raw_input_contents.append(written(array))
    for key, value in parameters(request).items():
        message.parameters[key].int64_param = value
    with grpc.insecure_channel(f"127.0.0.1:{serving.grpc_port}") as channel:
        stub: Any = GRPCInferenceServiceStub(channel)  # type: ignore[no-untyped-call]
        answer = stub.ModelInfer(message, timeout=60)
    return {
        each.name: read(each.datatype, raw).reshape(each.shape)
        for each, raw in zip(answer.outputs, answer.raw_output_contents, strict=True)
    }


def by_predict(serving: Serving, config: ModelConfig, request: InferRequest) -> dict[str, Array]:
    """Instances; a model that takes one file a row gets the files, as a form where they are several."""
    url, sent = f"{serving.model(config.name)}/predict", list(tensors(config, request))
    if sent[0][1] == "BYTES":
        rows = sent[0][2].tolist()
        several = {"files": [("file", (f"{n}.jpeg", each)) for n, each in enumerate(rows)]}
        answer = requests.post(url, **(several if len(rows) > 1 else {"data": rows[0]}), timeout=60)
    else:
        columns = {name: array.tolist() for name, _, array in sent}
        instances = [{name: column[row] for name, column in columns.items()} for row in range(request.rows)]
        body = {"instances": instances, "parameters": parameters(request)}
        answer = requests.post(url, json=body, timeout=60)
    assert answer.status_code == 200, (config.name, answer.text)
    found = answer.json()
    predictions = found.get("predictions", [found])
    # What the outputs' shapes count is an output too.
    return {name: below([row_of(config, name, row[name]) for row in predictions]) for name in predictions[0]}


WAYS = {"json": by_json, "binary": by_binary, "grpc": by_grpc, "predict": by_predict}
Ask = Callable[[Serving, ModelConfig, InferRequest], dict[str, Array]]


def ways_of(case: Case) -> list[str]:
    return [way for way in WAYS if not (way == "json" and case.name == "jpeg-labels")]  # JSON holds no JPEG.


def tensors(config: ModelConfig, request: InferRequest) -> Iterator[tuple[str, str, Array]]:
    for each in config.inputs:
        yield each.name, each.datatype, request.inputs[each.name].astype(NUMPY[each.datatype])


def parameters(request: InferRequest) -> dict[str, int]:
    return {} if request.seed is None else {"seed": request.seed}


def array_of(datatype: str, values: Sequence[Any]) -> Array:
    return np.array([each.encode() for each in values] if datatype == "BYTES" else values, NUMPY[datatype])


def row_of(config: ModelConfig, name: str, value: Any) -> Array:
    """Return one row of an output; in JSON an empty list does not tell the sizes of what it has none of."""
    declared = next((each for each in config.outputs if each.name == name), None)
    if declared is None:
        return np.array([value])
    row = array_of(declared.datatype, [value])
    if row.size:
        return row
    return np.zeros((1, *(size if isinstance(size, int) and size > 0 else 0 for size in declared.shape[1:])), row.dtype)


def written(array: Array) -> bytes:
    if array.dtype != object:
        return array.tobytes()
    return b"".join(struct.pack("<I", len(each)) + each for each in array.ravel())


def read(datatype: str, raw: bytes) -> Array:
    if datatype != "BYTES":
        return np.frombuffer(raw, NUMPY[datatype])
    found = []
    while raw:
        (size,) = struct.unpack("<I", raw[:4])
        found.append(raw[4 : 4 + size])
        raw = raw[4 + size :]
    return np.array(found, object)


Answers = dict[tuple[str, str], list[Asked]]


@pytest.fixture(scope="module")
def answers(running: Running) -> Answers:
    """Of all networks, asked at once: each request in every way, side by side with those of the other networks."""
    asked = [
        (case.name, way, request)
        for case in NETWORKS
        for request in requests_of(case, running.configs[case.name], REQUESTS)
        for way in ways_of(case)
    ]
    random.Random(0).shuffle(asked)
    found: Answers = {}
    with ThreadPoolExecutor(CLIENTS) as clients:
        came = clients.map(lambda each: answered(running, *each), asked)
        for (name, way, _), answer in zip(asked, came, strict=True):
            found.setdefault((name, way), []).append(answer)
    return found


def answered(running: Running, name: str, way: str, request: InferRequest) -> Asked:
    ask: Ask = WAYS[way]
    return Asked(request.inputs, request.rows, request.seed, ask(running.serving, running.configs[name], request))


@pytest.mark.parametrize(
    "case, way", [pytest.param(each, way, id=f"{each.name}-{way}") for each in NETWORKS for way in ways_of(each)]
)
def test_each_of_ten_networks_asked_at_once_answers_as_eager_does(
    running: Running, answers: Answers, case: Case, way: str
) -> None:
    asked, before = answers[case.name, way], torch.get_num_threads()
    assert len({each.count for each in asked}) > 1
    torch.set_num_threads(1)  # As the replicas do.
    try:
        config = running.configs[case.name]
        compared(case.name, config, asked, Eager(case, config))
    finally:
        torch.set_num_threads(before)
