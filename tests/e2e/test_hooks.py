"""Hooks before and after the forward, answers drawn from a seed and rows that belong together, as clients meet them.

One start has them all: a canary, a stable version behind an ingress replica, and a model for each of the other two.
tests/deployments/ has the same without Ray.
"""

import asyncio
import json
import struct
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import aiohttp
import grpc
import numpy as np
import pytest
import requests
import yaml

from configs.document import application
from deployments.canary.canary import in_share
from deployments.stubs import open_inference_pb2 as pb
from deployments.stubs.open_inference_pb2_grpc import GRPCInferenceServiceStub
from tests.e2e.conftest import model
from tests.e2e.together.test_ingress import behind
from tests.serving import PROJECT, SHORT, Serving, serve_run, wait_until

pytestmark = pytest.mark.ray

X = [{"name": "x", "datatype": "FP32", "shape": [-1, 2], "low": -5, "high": 5}]
Y = [{"name": "y", "datatype": "FP32", "shape": [-1, 2]}]
LABELS = [{"name": "label", "datatype": "BYTES", "shape": [-1]}, {"name": "score", "datatype": "FP32", "shape": [-1]}]
# On the event loop, and in a thread.
both = pytest.mark.parametrize("rows", [2, 12])
Array = np.ndarray[Any, Any]


def of(name: str, network: str, **args: Any) -> dict[str, Any]:
    args = {"inputs": X, "outputs": Y, **args}
    return model(name, source={"factory": f"tests.services.hooked:{network}"}, **args)


def models(raw: dict[str, Any]) -> None:
    labels = {"outputs": LABELS, "handler": "tests.services.hooked:Labels"}
    canary = of("labels", "Sums", **{**labels, "handler": "tests.services.hooked:Second"}, version="2")
    stable = behind(of("stable", "Sums", **labels), 1)
    share = {"canary": {"application": "labels", "percent": 50}}
    stable["deployments"][-1]["user_config"] = share
    drawn = behind(of("drawn", "Noisy", random=True), 1)
    raw["applications"] = [application(raw, "root"), canary, stable, drawn, of("whole", "Mean", batch="whole")]


@pytest.fixture(scope="module")
def serving(cache: object) -> Iterator[Serving]:  # noqa: ARG001
    with serve_run(PROJECT / "serve_config.yaml", SHORT, models) as found:
        yield found


class Refused(Exception):  # noqa: N818  # Here it is an outcome.
    """The server's error, with its status or code."""


def values(*first: float) -> Array:
    return np.array([[each, 1] for each in first], np.float32)


def as_json(x: Array, parameters: dict[str, Any]) -> dict[str, Any]:
    tensor = {"name": "x", "datatype": "FP32", "shape": list(x.shape), "data": x.ravel().tolist()}
    return {"inputs": [tensor], "parameters": parameters}


def by_json(serving: Serving, path: str, x: Array, parameters: dict[str, Any]) -> list[Any]:
    """Return the outputs in their order, as lists."""
    answer = requests.post(f"{serving.model(path)}/infer", json=as_json(x, parameters), timeout=30)
    if answer.status_code != 200:
        raise Refused(answer.status_code, answer.json()["error"])
    return [each["data"] for each in answer.json()["outputs"]]


def by_binary(serving: Serving, path: str, x: Array, parameters: dict[str, Any]) -> list[Any]:
    tensor = {"name": "x", "datatype": "FP32", "shape": list(x.shape), "parameters": {"binary_data_size": x.nbytes}}
    head = json.dumps({"inputs": [tensor], "parameters": {"binary_data_output": True, **parameters}}).encode()
    headers = {"Inference-Header-Content-Length": str(len(head))}
    answer = requests.post(f"{serving.model(path)}/infer", data=head + x.tobytes(), headers=headers, timeout=30)
    if answer.status_code != 200:
        raise Refused(answer.status_code, answer.json()["error"])
    length = int(answer.headers["Inference-Header-Content-Length"])
    found, rest = [], answer.content[length:]
    for each in json.loads(answer.content[:length])["outputs"]:
        size = each["parameters"]["binary_data_size"]
        found.append(read(each["datatype"], rest[:size]))
        rest = rest[size:]
    assert rest == b""
    return found


def by_predict(serving: Serving, path: str, x: Array, parameters: dict[str, Any]) -> list[Any]:
    body = {"instances": x.tolist(), "parameters": parameters}
    answer = requests.post(f"{serving.model(path)}/predict", json=body, timeout=30)
    if answer.status_code != 200:
        raise Refused(answer.status_code, answer.json()["error"])
    rows = answer.json()["predictions"]
    return [[row[name] for row in rows] for name in rows[0]]


def _by_grpc(port_of: Callable[[Serving], int]) -> Callable[..., list[Any]]:
    def ask(serving: Serving, path: str, x: Array, parameters: dict[str, Any]) -> list[Any]:
        name, _, version = path.partition("/versions/")
        request = pb.ModelInferRequest(model_name=name, model_version=version, raw_input_contents=[x.tobytes()])
        request.inputs.add(name="x", datatype="FP32", shape=x.shape)
        for key, value in parameters.items():
            kind = {bool: "bool_param", int: "int64_param", str: "string_param"}[type(value)]
            setattr(request.parameters[key], kind, value)
        with grpc.insecure_channel(f"127.0.0.1:{port_of(serving)}") as channel:
            stub: Any = GRPCInferenceServiceStub(channel)  # type: ignore[no-untyped-call]
            try:
                answer = stub.ModelInfer(request, metadata=(("application", name),), timeout=30)
            except grpc.RpcError as error:
                failed: Any = error
                raise Refused(failed.code(), failed.details()) from error
        pairs = zip(answer.outputs, answer.raw_output_contents, strict=True)
        return [read(each.datatype, raw) for each, raw in pairs]

    return ask


def _one_hop(serving: Serving) -> int:
    port: int = yaml.safe_load(serving.config.read_text())["grpc_options"]["port"]
    return port


by_proxy, by_one_hop = _by_grpc(lambda serving: serving.grpc_port), _by_grpc(_one_hop)
WAYS = {"json": by_json, "binary": by_binary, "predict": by_predict, "proxy": by_proxy, "one hop": by_one_hop}
every_way = pytest.mark.parametrize("ask", WAYS.values(), ids=WAYS.keys())


def read(datatype: str, raw: bytes) -> list[Any]:
    if datatype != "BYTES":
        return np.frombuffer(raw, np.float32).tolist()  # type: ignore[no-any-return]
    found = []
    while raw:
        (size,) = struct.unpack("<I", raw[:4])
        found.append(raw[4 : 4 + size])
        raw = raw[4 + size :]
    return [each.decode() if each.isascii() else each for each in found]


@both
@every_way
@pytest.mark.parametrize("path, mark", [("labels", "two"), ("stable/versions/1", "one"), ("stable/versions/2", "two")])
def test_a_handler_s_labels_come_back_on_every_way(
    serving: Serving, path: str, mark: str, ask: Callable[..., list[Any]], rows: int
) -> None:
    if "/2" in path:
        wait_for_canary(serving)
    x = values(*range(rows))
    parameters = {"unit": "km", "times": 2}
    expected = [[f"{mark} {2 * (n + 1)} km" for n in range(rows)], [2.0 * (n + 1) for n in range(rows)]]
    assert ask(serving, path, x, parameters) == expected
    assert ask(serving, path, x[:1], {}) == [[f"{mark} 1 m"], [1.0]]


@every_way
@pytest.mark.parametrize("path", ["labels", "stable/versions/1"])
def test_a_preprocess_that_refuses_a_parameter_is_heard(
    serving: Serving, path: str, ask: Callable[..., list[Any]]
) -> None:
    with pytest.raises(Refused, match="times must not be 0") as caught:
        ask(serving, path, values(1), {"times": 0})
    assert caught.value.args[0] in (400, grpc.StatusCode.INVALID_ARGUMENT)


@pytest.mark.parametrize("path", ["labels", "stable/versions/1"])
def test_bytes_that_are_no_text_are_for_clients_that_take_bytes(serving: Serving, path: str) -> None:
    wanted = b"\x89PNG \xff" + (b"one" if "stable" in path else b"two") + b" 4 m"
    for ask in (by_binary, by_proxy, by_one_hop):
        assert ask(serving, path, values(3), {"picture": True}) == [[wanted], [4.0]]
    for ask in (by_json, by_predict):
        with pytest.raises(Refused, match="label") as caught:
            ask(serving, path, values(3), {"picture": True})
        assert caught.value.args[0] == 400


@both
@pytest.mark.parametrize("path, mark", [("labels", "two"), ("stable/versions/1", "one")])
def test_a_failing_postprocess_fails_alone_beside_fifty_others(
    serving: Serving, path: str, mark: str, rows: int
) -> None:
    bad = {7: "value", 19: "rows", 20: "exit", 31: "value", 32: "rows", 48: "exit"}

    async def send() -> list[tuple[int, Any]]:
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:

            async def one(number: int) -> tuple[int, Any]:
                parameters = {"unit": f"u{number}", "fail": bad.get(number, "")}
                body = as_json(values(*range(number, number + rows)), parameters)
                async with session.post(f"{serving.model(path)}/infer", json=body) as answer:
                    return answer.status, await answer.json()

            return list(await asyncio.gather(*map(one, range(56))))

    for number, (status, answer) in enumerate(asyncio.run(send())):
        if number in bad:
            assert status == 500, (number, answer)
            assert "the model failed on this input" in answer["error"]
            assert "secret" not in answer["error"]
            continue
        assert status == 200, (number, answer)
        label, score = (each["data"] for each in answer["outputs"])
        assert label == [f"{mark} {n + 1} u{number}" for n in range(number, number + rows)]
        assert score == [n + 1.0 for n in range(number, number + rows)]


def test_a_seed_gives_one_answer_on_every_way_alone_and_beside_others(serving: Serving) -> None:
    x = values(*range(5))

    def seeded(seed: int) -> list[Any]:
        # As FP32: JSON has the fewest digits that tell them.
        return [np.float32(ask(serving, "drawn", x, {"seed": seed})[0]).ravel().tolist() for ask in WAYS.values()]

    alone = {seed: seeded(seed)[0] for seed in (7, 8)}
    assert alone[7] != alone[8]
    with ThreadPoolExecutor(12) as pool:
        others = [pool.submit(by_json, serving, "drawn", values(*range(n % 4 + 1)), {}) for n in range(120)]
        beside = [(seed, pool.submit(seeded, seed)) for seed in (7, 8) * 6]
        for seed, found in beside:
            assert found.result() == [alone[seed]] * len(WAYS)
    unseeded = {tuple(each.result()[0]) for each in others}
    assert len(unseeded) == len(others)


def test_rows_that_belong_together_never_meet_another_request_s(serving: Serving) -> None:
    rng = np.random.default_rng(3)
    sent = [rng.integers(-1000, 1000, (rows, 2)).astype(np.float32) for rows in rng.integers(1, 33, 200)]
    ways = list(WAYS.values())
    with ThreadPoolExecutor(16) as pool:
        asked = [pool.submit(ways[n % len(ways)], serving, "whole", x, {}) for n, x in enumerate(sent)]
        for x, found in zip(sent, asked, strict=True):
            y = np.reshape(found.result()[0], x.shape)
            np.testing.assert_allclose(y, np.broadcast_to(x.mean(0), x.shape), rtol=1e-4, atol=1e-3)


def wait_for_canary(serving: Serving) -> None:
    def up() -> bool:
        stats = requests.get(f"{serving.model('stable')}/stats", timeout=20).json()["model_stats"]
        found: bool = stats[0]["pitstop"]["canary"]["up"]
        return found

    wait_until(up, "the canary did not come up")


def test_a_canary_s_hooks_answer_for_its_share_with_the_request_s_parameters(serving: Serving) -> None:
    wait_for_canary(serving)

    def one(number: int) -> dict[str, Any]:
        body = {**as_json(values(number), {"unit": f"u{number}", "times": 3}), "id": f"request-{number}"}
        answer = requests.post(f"{serving.model('stable')}/infer", json=body, timeout=30)
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(one, range(100)))
    marks = {"1": "one", "2": "two"}
    for number, answer in enumerate(answers):
        assert answer["outputs"][0]["data"] == [f"{marks[answer['model_version']]} {3 * (number + 1)} u{number}"]
    from_canary = {number for number, answer in enumerate(answers) if answer["model_version"] == "2"}
    assert from_canary
    assert from_canary <= {number for number in range(100) if in_share(f"request-{number}", 50)}


def test_a_canary_whose_postprocess_fails_costs_no_other_request(serving: Serving) -> None:
    wait_for_canary(serving)

    def one(number: int) -> Any:
        try:
            return by_json(serving, "stable", values(number), {"fail": ("exit", "value", "")[number % 3]})[1]
        except Refused as refused:
            return refused.args[0]

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(one, range(60)))
    assert answers == [[number + 1.0] if number % 3 == 2 else 500 for number in range(60)]
