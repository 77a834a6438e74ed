"""How long a server that was asked to stop may take."""

import pytest

from pitstop.run.stop import Stop

RAW = {"controller_options": {"runtime_env": {"env_vars": {"RAY_SERVE_PROXY_GRACEFUL_SHUTDOWN_TIMEOUT_S": "20"}}}}


def test_two_seconds_after_the_last_answer_it_is_over() -> None:
    proxies = {7, 8}
    stop = Stop(RAW, lambda: set(proxies), 0)
    assert not stop.over(15)
    proxies.remove(7)
    assert not stop.over(16)
    proxies.clear()
    assert not stop.over(16)
    assert not stop.over(17.9)
    assert stop.over(18)


@pytest.mark.parametrize(
    "raw, limit_s", [(RAW, 40), ({}, 25), ({"controller_options": {"runtime_env": {"env_vars": None}}}, 25)]
)
def test_without_an_end_of_haproxy_there_is_a_limit(raw: dict[str, object], limit_s: float) -> None:
    for proxies in (set[int](), {7}):
        stop = Stop(raw, lambda proxies=proxies: proxies, 0)  # type: ignore[misc]
        assert not stop.over(limit_s - 0.1)
        assert stop.over(limit_s)
