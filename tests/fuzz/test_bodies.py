"""Without a server: what was good once, broken at random, makes 200 or 400 and never a fault of ours."""

import itertools
import random
import re
import warnings
from typing import Any

import numpy as np
import orjson
import pytest

from tests.deployments.fake_service import ask, identity, three_kinds
from tests.deployments.http.test_short_path import Connection, post, run
from tests.fuzz.mutate import BODIES, mutated

N = {"name": "n", "datatype": "UINT8", "shape": [1], "data": [3]}
S = {"name": "s", "datatype": "BYTES", "shape": [1], "data": ["a"]}
Y = {"name": "y"}


def body(more: dict[str, Any], **options: Any) -> bytes:
    x = {"name": "x", "datatype": "FP32", "shape": [1, 2], **more}
    return orjson.dumps({"inputs": [x, N, S], **options})


def test_mutated_bodies_never_make_a_fault_of_ours() -> None:
    chance = random.Random(20)
    head = body(
        {"parameters": {"binary_data_size": 8}}, outputs=[Y, {"name": "h", "parameters": {"classification": 2}}]
    )
    blob = np.ones(2, np.float32).tobytes()
    plain = body({"data": [1, 2]}, id="7", parameters={"timeout": 5, "binary_data_output": True})
    model, statuses = three_kinds(), set()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for _ in range(BODIES // 2):
            statuses.add(ask(model, "/infer", mutated(chance, plain)).status)
            sent = mutated(chance, head) + mutated(chance, blob)
            length = str(chance.choice([len(head), len(sent), len(sent) - 8, len(sent) - 7, 1]))
            statuses.add(ask(model, "/infer", sent, headers={"inference-header-content-length": length}).status)
    assert statuses == {200, 400}


def test_mutated_requests_cut_anywhere_never_break_a_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    chance = random.Random(21)
    statuses: set[bytes] = set()
    good = [post(), post(inference_header_content_length="8"), post(content_type="application/x-protobuf")]

    async def test(_: Connection) -> None:
        for _round in range(BODIES // 10):
            connection = Connection(identity("FP32"), monkeypatch)
            await connection.send(*cut(chance, mutated(chance, chance.choice(good)) + post()))
            connection.protocol.connection_lost(None)
            statuses.update(re.findall(rb"HTTP/1.1 (\d+) ", connection.socket.sent))
            assert connection.counter.ongoing == 0

    run(test, identity("FP32"), monkeypatch)
    assert {b"200", b"400"} <= statuses
    assert max(statuses) < b"500"


def cut(chance: random.Random, sent: bytes) -> list[bytes]:
    """Cut bytes where TCP might."""
    places = sorted(chance.sample(range(len(sent) + 1), 3))
    return [part for start, end in itertools.pairwise([0, *places, len(sent)]) if (part := sent[start:end])]
