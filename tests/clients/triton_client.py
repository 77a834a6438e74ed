"""Triton's own client, unmodified: python triton_client.py HTTP_ADDRESS GRPC_ADDRESS.

Runs in an environment of its own, and prints the name of each check before it runs it: the last one printed is the one
that failed.
"""

import asyncio
import functools
import queue
import sys
from types import ModuleType
from typing import Any

import numpy as np
import tritonclient.grpc as over_grpc
import tritonclient.grpc.aio as over_grpc_aio
import tritonclient.http as over_http
import tritonclient.http.aio as over_http_aio
from tritonclient.utils import InferenceServerException

HTTP, GRPC = sys.argv[1:]
ECHO = {
    "INPUT0": ("FP32", np.array([[1.5, -2], [0, np.inf]], np.float32)),
    "INPUT1": ("INT64", np.array([[2**62, -1], [0, 7]])),
    "INPUT2": ("FP16", np.array([[0.5, -1], [65504, 0]], np.float16)),
    "INPUT3": ("BYTES", np.array([[b"", b"\xff\x00"], [b"text", "é".encode()]], object)),
}


def tensor(of: ModuleType, name: str, datatype: str, array: Any, **options: Any) -> Any:
    found = of.InferInput(name, list(array.shape), datatype)
    found.set_data_from_numpy(array, **options)
    return found


def doubled(of: ModuleType, *values: float, **options: Any) -> Any:
    return [tensor(of, "x", "FP32", np.array(values, np.float32)[:, None], **options)]


def echo(of: ModuleType, **options: Any) -> Any:
    return [
        tensor(of, name, datatype, array, **({} if datatype == "FP16" else options))
        for name, (datatype, array) in ECHO.items()
    ]


def check_echo(answer: Any) -> None:
    for number, (datatype, array) in enumerate(ECHO.values()):
        expected = np.vectorize(len)(array) if datatype == "BYTES" else array
        np.testing.assert_array_equal(answer.as_numpy(f"OUTPUT{number}"), expected)


def fails(call: Any, status: str, says: str) -> None:
    found = None
    try:
        call()
    except InferenceServerException as error:
        found = error
    assert found is not None, f"no error, where {says!r} was expected"
    assert found.status() is None or status in str(found.status()), found.status()
    assert says in str(found.message()), found.message()
    assert "secret" not in str(found)


def http_server_and_models() -> None:
    with over_http.InferenceServerClient(HTTP) as client:
        assert client.is_server_live()
        assert client.is_server_ready()
        assert client.get_server_metadata()["name"] == "pitstop"
        assert client.is_model_ready("slow")
        assert client.is_model_ready("slow", "1")
        assert not client.is_model_ready("nothing")
        found = client.get_model_metadata("slow")
        assert found["inputs"] == [{"name": "x", "datatype": "FP32", "shape": [-1, 1]}]
        assert client.get_model_config("slow")["max_batch_size"] == 32
        assert {"slow", "digits", "echo"} <= {each["name"] for each in client.get_model_repository_index()}
        [stats] = client.get_inference_statistics("slow")["model_stats"]
        assert stats["name"] == "slow"
        fails(lambda: client.get_model_metadata("nothing"), "404", "no model 'nothing' here")


def http_infer() -> None:
    with over_http.InferenceServerClient(HTTP, concurrency=4) as client:
        for options in ({"binary_data": True}, {"binary_data": False}):
            answer = client.infer("slow", doubled(over_http, 1, 2, **options), request_id="7", priority=1)
            assert answer.as_numpy("y").tolist() == [[2], [4]]
            assert answer.get_response()["id"] == "7"
            as_json = [over_http.InferRequestedOutput("y", binary_data=False)]
            answer = client.infer("slow", doubled(over_http, 3, **options), outputs=as_json, model_version="1")
            assert answer.get_output("y")["data"] == [6]
        check_echo(client.infer("echo", echo(over_http)))
        started = [client.async_infer("slow", doubled(over_http, n)) for n in range(8)]
        assert [each.get_result().as_numpy("y").item() for each in started] == [2 * n for n in range(8)]
        empty = [tensor(over_http, "x", "FP32", np.empty((0, 1), np.float32))]
        assert client.infer("slow", empty).as_numpy("y").shape == (0, 1)


def http_options() -> None:
    with over_http.InferenceServerClient(HTTP) as client:
        for name in ("gzip", "deflate"):
            compressed = {"request_compression_algorithm": name, "response_compression_algorithm": name}
            answer = client.infer("slow", doubled(over_http, *range(200)), **compressed)
            assert answer.as_numpy("y").ravel().tolist() == [2 * n for n in range(200)]
        top = [over_http.InferRequestedOutput("OUTPUT0", class_count=1)]
        answer = client.infer("echo", echo(over_http), outputs=top)
        assert answer.as_numpy("OUTPUT0").ravel().tolist() == [b"1.500000:0", b"inf:1"]


def http_errors() -> None:
    with over_http.InferenceServerClient(HTTP) as client:
        fails(lambda: client.infer("slow", doubled(over_http, 1), timeout=10_000), "408", "within the time allowed")
        fails(lambda: client.infer("slow", doubled(over_http, -9999)), "500", "the model failed on this input")
        fails(lambda: client.infer("slow", echo(over_http)), "400", "there is no input 'INPUT0'")
        fails(lambda: client.infer("nothing", doubled(over_http, 1)), "404", "no model 'nothing' here")
        fails(lambda: client.infer("slow", doubled(over_http, 1), model_version="9"), "404", "has version '1', not '9'")


async def http_aio() -> None:
    async with over_http_aio.InferenceServerClient(HTTP) as client:
        assert await client.is_server_live()
        assert await client.is_model_ready("echo")
        for model in ("echo", "digits"):
            assert (await client.get_model_metadata(model))["name"] == model
            assert (await client.get_model_config(model))["name"] == model
            [stats] = (await client.get_inference_statistics(model))["model_stats"]
            assert stats["name"] == model
        assert "digits" in {each["name"] for each in await client.get_model_repository_index()}
        check_echo(await client.infer("echo", echo(over_http_aio)))
        answers = await asyncio.gather(*[client.infer("slow", doubled(over_http_aio, n)) for n in range(8)])
        assert [each.as_numpy("y").item() for each in answers] == [2 * n for n in range(8)]


def grpc_server_and_models() -> None:
    with over_grpc.InferenceServerClient(GRPC) as client:
        assert client.is_server_live()
        assert client.is_server_ready()
        assert client.get_server_metadata().name == "pitstop"
        assert client.is_model_ready("slow")
        found = client.get_model_metadata("slow", as_json=True)
        assert found["inputs"] == [{"name": "x", "datatype": "FP32", "shape": ["-1", "1"]}]
        fails(lambda: client.get_model_metadata("nothing"), "NOT_FOUND", "no model 'nothing' here")


def grpc_infer() -> None:
    with over_grpc.InferenceServerClient(GRPC) as client:
        answer = client.infer("slow", doubled(over_grpc, 1, 2), request_id="7", priority=1, model_version="1")
        assert answer.as_numpy("y").tolist() == [[2], [4]]
        assert answer.get_response().id == "7"
        check_echo(client.infer("echo", echo(over_grpc)))
        top = [over_grpc.InferRequestedOutput("OUTPUT0", class_count=1)]
        answer = client.infer("echo", echo(over_grpc), outputs=top)
        assert answer.as_numpy("OUTPUT0").ravel().tolist() == [b"1.500000:0", b"inf:1"]
        for name in ("gzip", "deflate"):
            answer = client.infer("slow", doubled(over_grpc, *range(200)), compression_algorithm=name)
            assert answer.as_numpy("y").ravel().tolist() == [2 * n for n in range(200)]
        images = np.random.default_rng(0).integers(0, 256, (64, 3, 224, 224), np.uint8)
        answer = client.infer("pixels", [tensor(over_grpc, "INPUT0", "UINT8", images)])
        np.testing.assert_array_equal(answer.as_numpy("OUTPUT0"), images)
        found: queue.Queue[Any] = queue.Queue()
        for n in range(8):
            client.async_infer("slow", doubled(over_grpc, n), lambda result, error: found.put((result, error)))
        answers = [found.get(timeout=30) for _ in range(8)]
        assert all(error is None for _, error in answers)
        assert sorted(result.as_numpy("y").item() for result, _ in answers) == [2 * n for n in range(8)]


def grpc_errors() -> None:
    with over_grpc.InferenceServerClient(GRPC) as client:
        infer = functools.partial(client.infer, "slow")
        fails(lambda: infer(doubled(over_grpc, 1), timeout=10_000), "DEADLINE_EXCEEDED", "within the time allowed")
        fails(lambda: infer(doubled(over_grpc, 1), client_timeout=0.01), "DEADLINE_EXCEEDED", "")
        fails(lambda: infer(doubled(over_grpc, -9999)), "INTERNAL", "the model failed on this input")
        fails(lambda: infer(echo(over_grpc)), "INVALID_ARGUMENT", "there is no input 'INPUT0'")
        fails(lambda: client.infer("nothing", doubled(over_grpc, 1)), "NOT_FOUND", "no model 'nothing' here")
        fails(lambda: infer(doubled(over_grpc, 1), model_version="9"), "NOT_FOUND", "has version '1', not '9'")


def grpc_stream() -> None:
    found: queue.Queue[Any] = queue.Queue()
    with over_grpc.InferenceServerClient(GRPC) as client:
        client.start_stream(lambda result, error: found.put((result, error)))
        for n in range(8):
            client.async_stream_infer("slow", doubled(over_grpc, n), request_id=str(n))
        client.async_stream_infer("nothing", doubled(over_grpc, 8), request_id="8")
        client.async_stream_infer("echo", echo(over_grpc), request_id="9", enable_empty_final_response=True)
        answers = [found.get(timeout=30) for _ in range(10)]
        client.stop_stream()
    assert [result.as_numpy("y").item() for result, _ in answers[:8]] == [2 * n for n in range(8)]
    assert [result.get_response().id for result, _ in answers[:8]] == [str(n) for n in range(8)]
    assert "no model 'nothing' here" in str(answers[8][1])
    check_echo(answers[9][0])
    assert answers[9][0].get_response().parameters["triton_final_response"].bool_param


async def grpc_aio() -> None:
    async def requests() -> Any:
        for n in range(4):
            yield {"model_name": "slow", "inputs": doubled(over_grpc_aio, n), "request_id": str(n)}

    async with over_grpc_aio.InferenceServerClient(GRPC) as client:
        assert await client.is_server_ready()
        check_echo(await client.infer("echo", echo(over_grpc_aio)))
        answers = [answer async for answer in client.stream_infer(requests())]
    assert [error for _, error in answers] == [None] * 4
    assert [result.as_numpy("y").item() for result, _ in answers] == [2 * n for n in range(4)]


for check in (
    http_server_and_models,
    http_infer,
    http_options,
    http_errors,
    http_aio,
    grpc_server_and_models,
    grpc_infer,
    grpc_errors,
    grpc_stream,
    grpc_aio,
):
    print(check.__name__, flush=True)
    made = check()
    if made is not None:
        asyncio.run(made)
