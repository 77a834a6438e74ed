"""What a client may rely on, whichever of the three paths its request takes."""

import asyncio
import gzip
import socket
from typing import Any

import aiohttp
import orjson
import pytest
import requests

from tests.serving import Serving

pytestmark = pytest.mark.ray

SECRET = "a secret of the model"


def tensor(*values: float) -> dict[str, Any]:
    return {"inputs": [{"name": "x", "shape": [len(values), 1], "datatype": "FP32", "data": list(values)}]}


def forwards(serving: Serving, model: str) -> int:
    found = requests.get(f"{serving.model(model)}/stats", timeout=30).json()["model_stats"][0]
    return int(found["execution_count"])


async def post(session: aiohttp.ClientSession, url: str, body: Any) -> tuple[int, Any, Any]:
    async with session.post(url, json=body) as answer:
        return answer.status, await answer.json(), answer.headers


def together(serving: Serving, model: str, bodies: list[Any], every_s: float = 0) -> list[tuple[int, Any, Any]]:
    """Send all, each on a connection of its own, `every_s` apart; return status, body and headers in their order."""

    async def send() -> list[tuple[int, Any, Any]]:
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
            began = asyncio.get_running_loop().time()

            async def one(index: int, body: Any) -> tuple[int, Any, Any]:
                await asyncio.sleep(began + index * every_s - asyncio.get_running_loop().time())
                return await post(session, f"{serving.model(model)}/infer", body)

            return list(await asyncio.gather(*[one(index, body) for index, body in enumerate(bodies)]))

    return asyncio.run(send())


def outputs(answer: tuple[int, Any, Any]) -> list[float]:
    assert answer[0] == 200, answer
    found: list[float] = answer[1]["outputs"][0]["data"]
    return found


def test_batches_fill_while_the_device_is_busy(serving: Serving) -> None:
    # A hundred requests 2 ms apart, 50 ms a forward. Where sending takes longer, more forwards run than the six that
    # the arithmetic gives; test_batching.py holds those six, with nothing between it and the batcher.
    before = forwards(serving, "slow")
    answers = together(serving, "slow", [tensor(n) for n in range(100)], every_s=0.002)
    assert [outputs(answer) for answer in answers] == [[2.0 * n] for n in range(100)]
    assert forwards(serving, "slow") - before <= 30


def test_a_request_of_more_rows_than_a_forward_comes_back_whole(serving: Serving) -> None:
    values = [float(n) for n in range(70)]
    [answer] = together(serving, "slow", [tensor(*values)])
    assert outputs(answer) == [2 * value for value in values]


def test_only_the_guilty_request_of_a_batch_fails_and_no_text_of_the_model_leaks(serving: Serving) -> None:
    bodies = [tensor(1), tensor(2), tensor(-9999), tensor(4)]
    answers = together(serving, "slow", bodies)
    assert [answer[0] for answer in answers] == [200, 200, 500, 200]
    assert [outputs(answer) for answer in answers if answer[0] == 200] == [[2.0], [4.0], [8.0]]
    assert "error" in answers[2][1]
    assert SECRET not in str(answers[2][1])


def test_a_full_queue_says_503_and_when_to_come_back_and_loses_nobody_else(serving: Serving) -> None:
    answers = together(serving, "tight", [tensor(n) for n in range(20)])
    refused = [answer for answer in answers if answer[0] == 503]
    assert refused
    assert all(int(answer[2]["Retry-After"]) >= 1 for answer in refused)
    for n, answer in enumerate(answers):
        if answer[0] != 503:
            assert outputs(answer) == [2.0 * n]


def test_a_request_may_set_its_own_time_limit(serving: Serving) -> None:
    [answer] = together(serving, "slow", [{**tensor(1), "parameters": {"timeout": 10_000}}])
    assert answer[0] == 408
    assert "time allowed" in answer[1]["error"]


def test_a_high_priority_overtakes_what_waits(serving: Serving) -> None:
    # Each fills a forward of 50 ms: when the first is answered, the others wait for 0.9 s more.
    low, rows = 20, 32

    async def send() -> list[int]:
        order: list[int] = []
        first = asyncio.Event()
        async with aiohttp.ClientSession() as session:

            async def one(priority: int) -> None:
                body = {**tensor(*range(rows)), "parameters": {"priority": priority}}
                status, _, _ = await post(session, f"{serving.model('patient')}/infer", body)
                assert status == 200
                order.append(priority)
                first.set()

            sent = [asyncio.create_task(one(9)) for _ in range(low)]
            await first.wait()
            await asyncio.gather(one(1), *sent)
        return order

    assert asyncio.run(send()).index(1) < low // 2


def test_clients_that_leave_cost_no_forward(serving: Serving) -> None:
    before = forwards(serving, "tight")
    host, port = "127.0.0.1", serving.port
    body = b'{"inputs":[{"name":"x","shape":[1,1],"datatype":"FP32","data":[1]}]}'
    head = b"POST /v2/models/tight/infer HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n" % len(body)
    for _ in range(10):
        with socket.create_connection((host, port)) as left:
            left.sendall(head + body)
    [answer] = together(serving, "tight", [tensor(5)])
    while answer[0] == 503:
        [answer] = together(serving, "tight", [tensor(5)])
    assert outputs(answer) == [10.0]
    assert forwards(serving, "tight") - before <= 5


def test_the_request_id_comes_back_once(serving: Serving) -> None:
    for path in ("digits/infer", "digits/predict", "digits"):
        answer = requests.request(
            "GET" if path == "digits" else "POST", serving.model(path), headers={"X-Request-Id": "abc-1"}, timeout=30
        )
        assert answer.headers["X-Request-Id"] == "abc-1"


@pytest.mark.parametrize(
    "method, path, body, status, says",
    [
        ("GET", "/v2/models/nothing", b"", 404, "no model 'nothing' here; the models are: digits"),
        ("POST", "/v2/models/digits/versions/9/infer", b"{}", 404, "version"),
        ("GET", "/nowhere", b"", 404, "below /v2"),
        ("GET", "/v2/models/digits/infer", b"", 405, "takes POST"),
        ("POST", "/v2/models/digits/infer", b"", 400, "empty"),
        ("POST", "/v2/models/digits/infer", b"{", 400, "not valid JSON"),
        ("POST", "/v2/models/digits/infer", b'{"inputs":[]}', 400, "inputs"),
        (
            "POST",
            "/v2/models/digits/infer",
            b'{"inputs":[{"name":"image","datatype":"UINT8","shape":[1000000000000,1,8,8],"data":[1]}]}',
            400,
            "shape",
        ),
        ("POST", "/v2/models/digits/predict", b"no image", 400, "image"),
    ],
)
def test_what_is_wrong_is_said_in_json(
    serving: Serving, method: str, path: str, body: bytes, status: int, says: str
) -> None:
    answer = requests.request(method, serving.url + path, data=body, timeout=30)
    assert answer.status_code == status
    assert answer.headers["Content-Type"].startswith("application/json")
    assert says in answer.json()["error"]
    assert "Traceback" not in answer.text


def test_a_body_over_the_limit_is_413(serving: Serving) -> None:
    answer = requests.post(f"{serving.model('tight')}/infer", data=b" " * (2 * 1024 * 1024), timeout=30)
    assert answer.status_code == 413
    assert "MiB" in answer.json()["error"]


def test_bodies_may_be_compressed_both_ways(serving: Serving) -> None:
    body = gzip.compress(orjson.dumps(tensor(*range(70))))
    headers = {"Content-Encoding": "gzip", "Accept-Encoding": "gzip"}
    answer = requests.post(f"{serving.model('slow')}/infer", data=body, headers=headers, timeout=30)
    assert answer.json()["outputs"][0]["data"] == [2.0 * n for n in range(70)]


def test_the_server_says_what_it_is_and_what_it_serves(serving: Serving) -> None:
    assert requests.get(f"{serving.url}/v2/health/live", timeout=30).json() == {"live": True}
    assert requests.get(f"{serving.url}/v2/health/ready", timeout=30).json() == {"ready": True}
    assert "binary_tensor_data" in requests.get(f"{serving.url}/v2", timeout=30).json()["extensions"]
    index = requests.post(f"{serving.url}/v2/repository/index", timeout=30).json()
    assert {"digits", "digits-cpu"} <= {each["name"] for each in index}
    assert all(each["state"] == "READY" for each in index)


def test_the_live_efficiency_and_its_stages_are_told(serving: Serving) -> None:
    together(serving, "slow", [tensor(n) for n in range(64)])
    found = requests.get(f"{serving.model('slow')}/stats", timeout=30).json()["model_stats"][0]["pitstop"]
    assert 0 < found["efficiency"] <= 1.5
    assert found["stages_ms"]["forward"] > 0
    assert set(found["stages_ms"]) == {"parse", "queue", "collate", "copy", "forward", "fetch", "split", "send"}
