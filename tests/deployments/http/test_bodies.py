import gzip
import zlib
from collections.abc import Callable
from typing import Any

import numpy as np
import orjson
import pytest

from configs.schema import Tunables
from tests.deployments.fake_service import ask, call, identity, outputs_of

GOOD = {"inputs": [{"name": "INPUT0", "datatype": "FP32", "shape": [1], "data": [1]}]}
RAW = orjson.dumps(GOOD)
UNDO: dict[str | None, Callable[[bytes], bytes]] = {"gzip": gzip.decompress, "deflate": zlib.decompress, None: bytes}


def long_request(rows: int = 2000) -> dict[str, Any]:
    return {"inputs": [{"name": "INPUT0", "datatype": "FP32", "shape": [rows], "data": [1] * rows}]}


def test_a_body_may_come_in_pieces() -> None:
    assert ask(identity("FP32"), "/infer", chunks=[RAW[:5], b"", RAW[5:]]).status == 200


def test_a_client_that_leaves_is_not_answered() -> None:
    service = identity("FP32")
    assert call(service, "/v2/models/fake/infer", chunks=[]) is None
    assert service.failures == []


@pytest.mark.parametrize(
    "body, headers",
    [
        (b" " * 2048, {}),
        (b"", {"Content-Length": "2048"}),
        (b"", {"Content-Length": "9" * 5000}),
        (gzip.compress(b" " * 100_000, mtime=0), {"Content-Encoding": "gzip"}),
        (gzip.compress(b" " * 600, mtime=0) * 2, {"Content-Encoding": "gzip"}),
        (zlib.compress(b" " * 100_000), {"Content-Encoding": "deflate"}),
    ],
)
def test_a_body_over_the_limit_is_413_as_sent_and_as_decompressed(body: bytes, headers: dict[str, str]) -> None:
    service = identity("FP32")
    service.tunables = Tunables.model_validate({"max_body_mib": 1 / 1024})
    answer = ask(service, "/infer", body, headers=headers)
    assert answer.status == 413
    assert "MiB, the limit of this model" in answer.json["error"]


def test_reading_stops_at_the_limit() -> None:
    service = identity("FP32")
    service.tunables = Tunables.model_validate({"max_body_mib": 1 / 1024})
    chunks = [b" " * 1000] * 3
    assert ask(service, "/infer", chunks=chunks).status == 413


def bare(data: bytes) -> bytes:
    stream = zlib.compressobj(wbits=-15)
    return stream.compress(data) + stream.flush()


@pytest.mark.parametrize(
    "encoding, body",
    [
        ("gzip", gzip.compress(RAW, mtime=0)),
        ("GZIP", gzip.compress(RAW, mtime=0)),
        ("x-gzip", gzip.compress(RAW, mtime=0)),
        ("deflate", zlib.compress(RAW)),
        ("deflate", bare(RAW)),
        ("identity", RAW),
        ("gzip", gzip.compress(orjson.dumps(long_request()), mtime=0)),
        ("gzip", gzip.compress(RAW[:9], mtime=0) + gzip.compress(b"", mtime=0) + gzip.compress(RAW[9:], mtime=0)),
        ("gzip", gzip.compress(RAW, mtime=0) + gzip.compress(b" " * 1_000_000, mtime=0)),
    ],
)
def test_compressed_bodies_are_read(encoding: str, body: bytes) -> None:
    assert ask(identity("FP32"), "/infer", body, headers={"Content-Encoding": encoding}).status == 200


@pytest.mark.parametrize(
    "encoding, body, status, sentence",
    [
        ("gzip", RAW, 400, "does not decompress as gzip"),
        ("deflate", RAW, 400, "does not decompress as deflate"),
        ("gzip", b"", 400, "body is incomplete"),
        ("gzip", gzip.compress(RAW, mtime=0)[:-9], 400, "body is incomplete"),
        ("gzip", gzip.compress(RAW, mtime=0) + b"xx", 400, "2 bytes are left over after the gzip body"),
        ("gzip", gzip.compress(RAW, mtime=0) + gzip.compress(RAW, mtime=0)[:12], 400, "body is incomplete"),
        ("gzip", gzip.compress(RAW, mtime=0) + b"\x1f\x8b" + bytes(30), 400, "does not decompress as gzip"),
        ("gzip", gzip.compress(b"", mtime=0) * 70_000, 400, "left over after the gzip body"),
        ("deflate", zlib.compress(RAW) * 2, 400, "left over after the deflate body"),
        ("br", RAW, 415, "Content-Encoding is 'br': send gzip, deflate or none"),
        ("gzip, deflate", RAW, 415, "send gzip, deflate or none"),
    ],
)
def test_compression_that_cannot_be_undone_is_refused(encoding: str, body: bytes, status: int, sentence: str) -> None:
    answer = ask(identity("FP32"), "/infer", body, headers={"Content-Encoding": encoding})
    assert answer.status == status
    assert sentence in answer.json["error"]
    assert answer.headers.get("accept-encoding") == ("gzip, deflate" if status == 415 else None)


@pytest.mark.parametrize(
    "accepted, encoding",
    [
        ("gzip", "gzip"),
        ("deflate", "deflate"),
        ("gzip, deflate, br", "gzip"),
        ("gzip;q=0.2, deflate;q=0.9", "deflate"),
        ("gzip;q=0, deflate", "deflate"),
        ("*", "gzip"),
        ("*;q=0", None),
        ("gzip;q=0", None),
        ("gzip;q=much", None),
        ("br", None),
        ("identity", None),
    ],
)
def test_answers_are_compressed_as_the_client_likes(accepted: str, encoding: str | None) -> None:
    answer = ask(identity("FP32"), "/infer", long_request(), headers={"Accept-Encoding": accepted})
    assert answer.headers.get("content-encoding") == encoding
    assert orjson.loads(UNDO[encoding](answer.body))["outputs"][0]["shape"] == [2000]
    assert int(answer.headers["content-length"]) == len(answer.body)


@pytest.mark.parametrize("path", ["", "/config", "/stats", "/nothing"])
def test_only_answers_of_inference_are_compressed(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    service = identity("FP32")
    large = {"name": "x" * 5000}
    for each in ("metadata", "config", "stats"):
        monkeypatch.setattr(service, each, lambda: {**large, "versions": ["1"]})
    answer = ask(service, path, method="GET", headers={"Accept-Encoding": "gzip, deflate"})
    assert "content-encoding" not in answer.headers
    assert answer.json


def test_what_predict_answers_is_compressed_too() -> None:
    sent = {"instances": [1.0] * 2000}
    answer = ask(identity("FP32"), "/predict", sent, headers={"Accept-Encoding": "gzip"})
    assert len(orjson.loads(gzip.decompress(answer.body))["predictions"]) == 2000


@pytest.mark.parametrize("limit", [float("inf"), 1e300])
@pytest.mark.parametrize("encoding", ["gzip", "deflate", "identity"])
def test_a_limit_beyond_all_measure_is_none(limit: float, encoding: str) -> None:
    service = identity("FP32")
    service.tunables = Tunables.model_construct(**{**dict(service.tunables), "max_body_mib": limit})
    body = {"gzip": gzip.compress(RAW, mtime=0), "deflate": zlib.compress(RAW)}.get(encoding, RAW)
    assert ask(service, "/infer", body, headers={"Content-Encoding": encoding}).status == 200


def test_small_answers_are_never_compressed() -> None:
    answer = ask(identity("FP32"), "/infer", GOOD, headers={"Accept-Encoding": "gzip"})
    assert "content-encoding" not in answer.headers


def test_the_header_length_counts_uncompressed_bytes_both_ways() -> None:
    rows, blob = 50_000, np.zeros(50_000, np.float32).tobytes()
    given = {
        "name": "INPUT0",
        "datatype": "FP32",
        "shape": [rows],
        "parameters": {"binary_data_size": len(blob)},
    }
    head = orjson.dumps({"parameters": {"binary_data_output": True}, "inputs": [given]})
    headers = {
        "Inference-Header-Content-Length": str(len(head)),
        "Content-Encoding": "gzip",
        "Accept-Encoding": "gzip",
    }
    answer = ask(identity("FP32"), "/infer", gzip.compress(head + blob, mtime=0), headers=headers)
    assert len(answer.body) < len(blob)
    found = outputs_of(answer._replace(body=gzip.decompress(answer.body)))
    assert found["OUTPUT0"][1] == blob
