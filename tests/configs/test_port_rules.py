"""A chosen port that something of Serve's own takes is refused, with what takes it."""

from collections.abc import Callable
from typing import Any

import pytest

from configs.lint.ports import chosen, given_by_serve
from configs.problems import Problem

Lint = Callable[..., list[Problem]]
ENV = "controller_options__runtime_env__env_vars__RAY_SERVE_"
CHOSEN = ["http_options__port", "grpc_options__port", "applications__0__args__grpc_port"]


@pytest.fixture(autouse=True)
def _no_variables_of_serve(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HAPROXY_STATS_PORT", "HAPROXY_METRICS_PORT", "FALLBACK_PROXY_HTTP_PORT", "FALLBACK_PROXY_GRPC_PORT"):
        monkeypatch.delenv(f"RAY_SERVE_{name}", raising=False)


@pytest.mark.parametrize("path", CHOSEN)
@pytest.mark.parametrize(
    "port, what",
    [
        (8404, "HAProxy's statistics page uses"),
        (9101, "HAProxy's metrics uses"),
        (8500, "Serve's fallback HTTP uses"),
        (9500, "Serve's fallback gRPC uses"),
        (30005, "the replicas' HTTP (30000 to 31000) uses"),
        (41000, "the replicas' gRPC (40000 to 41000) uses"),
        (-1, "which is not a port"),
        (65536, "which is not a port"),
    ],
)
def test_a_port_that_is_taken_or_none_is_refused(changed: Lint, path: str, port: int, what: str) -> None:
    (problem,) = changed(**{path: port})
    assert (problem.severity, problem.keys[-1]) == ("error", path.rpartition("__")[2])
    assert what in problem.what


@pytest.mark.parametrize("path", CHOSEN[:2])
def test_a_port_that_the_system_would_choose_is_none(changed: Lint, path: str) -> None:
    assert [problem.what for problem in changed(**{path: 0})] == ["is 0, which is not a port"]


@pytest.mark.parametrize("port", [6379, 8265, 10001])
def test_a_port_of_ray_s_own_is_a_warning(changed: Lint, port: int) -> None:
    (problem,) = changed(http_options__port=port)
    assert problem.severity == "warning"
    assert "Ray's" in problem.what


def test_a_variable_moves_what_serve_takes(changed: Lint, monkeypatch: pytest.MonkeyPatch) -> None:
    (problem,) = changed(**{ENV + "HAPROXY_STATS_PORT": "8000"})
    assert problem.what == "is 8000, which HAProxy's statistics page uses"
    assert changed(**{ENV + "HAPROXY_STATS_PORT": "8405", "http_options__port": 8404}) == []
    monkeypatch.setenv("RAY_SERVE_FALLBACK_PROXY_HTTP_PORT", "8000")
    assert [each.what for each in changed()] == ["is 8000, which Serve's fallback HTTP uses"]


def test_without_haproxy_its_ports_are_free(shipped: dict[str, Any]) -> None:
    shipped["controller_options"]["runtime_env"]["env_vars"]["RAY_SERVE_ENABLE_HA_PROXY"] = "0"
    assert given_by_serve(shipped) == []
    assert sorted(each.first for each in chosen(shipped)) == [8000, 8001, 9000]
