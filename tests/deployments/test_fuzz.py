"""Bodies that were good once, broken at random: 200 or 400, and never a fault of ours."""

import random
import warnings
from typing import Any

import numpy as np
import orjson

from models.signature import Array, Tensor
from tests.deployments.fake_service import FakeService, ask, signature

N = {"name": "n", "datatype": "UINT8", "shape": [1], "data": [3]}
S = {"name": "s", "datatype": "BYTES", "shape": [1], "data": ["a"]}
Y = {"name": "y"}


def service() -> FakeService:
    declared = signature(
        [Tensor("x", "FP32", (-1, 2)), Tensor("n", "UINT8", (-1,)), Tensor("s", "BYTES", (-1,))],
        [Tensor("y", "FP32", (-1, 2)), Tensor("h", "FP16", (-1,))],
    )

    def act(rows: dict[str, Array]) -> dict[str, Array]:
        return {"y": rows["x"], "h": rows["n"].astype(np.float16)}

    return FakeService(declared, act)


def body(more: dict[str, Any], **options: Any) -> bytes:
    x = {"name": "x", "datatype": "FP32", "shape": [1, 2], **more}
    return orjson.dumps({"inputs": [x, N, S], **options})


PIECES = [b"null", b"-1", b"[]", b"{}", b'"x"', b"1e400", b"[[", b"18446744073709551616", b"\xff", b"", b"true", b"0"]
KEYS = [b'"shape"', b'"data"', b'"name"', b'"inputs"', b'"parameters"', b'"outputs"', b"[1,2]", b"[3]", b"8", b'"FP32"']


def mutated(chance: random.Random, good: bytes) -> bytes:
    sent = bytearray(good)
    for _ in range(chance.randint(1, 3)):
        where = chance.randrange(len(sent) + 1)
        action = chance.randrange(4)
        if action == 0:
            sent[where : where + chance.randint(1, 8)] = b""
        elif action == 1:
            sent[where:where] = chance.choice(PIECES)
        elif action == 2:
            key = chance.choice(KEYS)
            sent = bytearray(bytes(sent).replace(key, chance.choice(PIECES + KEYS), 1))
        elif sent:
            sent[min(where, len(sent) - 1)] = chance.randrange(256)
    return bytes(sent)


def test_two_thousand_mutated_bodies_never_make_a_fault_of_ours() -> None:
    chance = random.Random(20)
    head = body(
        {"parameters": {"binary_data_size": 8}}, outputs=[Y, {"name": "h", "parameters": {"classification": 2}}]
    )
    blob = np.ones(2, np.float32).tobytes()
    plain = body({"data": [1, 2]}, id="7", parameters={"timeout": 5, "binary_data_output": True})
    model, statuses = service(), set()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for _ in range(1000):
            statuses.add(ask(model, "/infer", mutated(chance, plain)).status)
            sent = mutated(chance, head) + mutated(chance, blob)
            length = str(chance.choice([len(head), len(sent), len(sent) - 8, len(sent) - 7, 1]))
            statuses.add(ask(model, "/infer", sent, headers={"inference-header-content-length": length}).status)
    assert statuses == {200, 400}
