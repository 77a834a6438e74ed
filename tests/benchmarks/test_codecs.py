import json

import numpy as np
import pytest

from benchmarks.peers import PEERS
from benchmarks.peers.codecs import numbers, open_inference, plain
from benchmarks.verify import deviation, requests_of
from benchmarks.workloads import WORKLOADS, quick
from deployments.http_client.reply import Reply


@pytest.mark.parametrize("workload", WORKLOADS)
@pytest.mark.parametrize("peer", PEERS)
def test_every_peer_has_a_body_for_every_input(peer: str, workload: str) -> None:
    asked = WORKLOADS[workload]
    requests = requests_of(asked, PEERS[peer].codec(asked))
    assert len(requests) == len(set(requests)) == len(asked.inputs())
    assert PEERS[peer].batching[workload].max_batch_size > 1


def test_numbers_come_through_json_unchanged() -> None:
    for value in WORKLOADS["mlp"].inputs():
        assert (np.asarray(json.loads(json.dumps(numbers(value))), np.float32) == value).all()


def test_an_image_follows_its_json_header() -> None:
    image = WORKLOADS["resnet50"].inputs()[0]
    headers, body = open_inference(WORKLOADS["resnet50"]).encode(image)
    length = int(headers["Inference-Header-Content-Length"])
    assert json.loads(body[:length])["inputs"][0]["parameters"] == {"binary_data_size": image.nbytes}
    assert body[length:] == image.tobytes()


def test_answers_are_read_in_both_forms() -> None:
    expected = np.array([1.5, -2.0], np.float32)
    in_json = json.dumps({"outputs": [{"name": "y", "data": [[1.5, -2.0]]}]}).encode()
    decode = open_inference(WORKLOADS["mlp"]).decode
    assert (decode(answer(in_json)) == expected).all()
    assert (decode(answer(b"{}" + expected.tobytes(), b"Inference-Header-Content-Length: 2\r\n")) == expected).all()
    assert (plain("/")(WORKLOADS["mlp"]).decode(answer(b'{"y":[1.5,-2.0]}')) == expected).all()


def answer(body: bytes, header: bytes = b"") -> Reply:
    return Reply(200, [b"HTTP/1.1 200 OK\r\n%bContent-Length: %d\r\n\r\n" % (header, len(body)), body], None)


@pytest.mark.parametrize(
    "found, off",
    [([2.0, 4.0], 0.0), ([2.0, 4.4], 0.1), ([2.0], float("inf")), ([2.0, float("nan")], float("inf"))],
)
def test_a_wrong_answer_is_told_by_how_much(found: list[float], off: float) -> None:
    assert deviation(np.array(found), np.array([2.0, 4.0])) == pytest.approx(off)


def test_a_quick_workload_asks_the_same_questions_less_often() -> None:
    for workload in WORKLOADS.values():
        assert quick(workload).connections == workload.connections
        assert quick(workload).rounds == 1
        assert len(workload.seconds) == len(workload.connections)
