import asyncio

import pytest

from deployments.applications import App
from deployments.startup_notice import announce


def app(name: str, state: str, message: str = "") -> App:
    return App(name, "1", state, state == "UNAVAILABLE", message)


class Script:
    """Gives one list of apps a look; the last for ever."""

    port = 8000

    def __init__(self, *looks: list[App]) -> None:
        self.looks = list(looks)

    async def apps(self) -> list[App]:
        return self.looks.pop(0) if len(self.looks) > 1 else self.looks[0]


def said(script: Script, dashboard: str = "") -> str:
    told: list[str] = []

    async def pause(_: float) -> None:
        return None

    asyncio.run(announce(script, told.append, dashboard, pause))
    assert len(told) == 1
    return told[0]


def test_nothing_is_said_before_every_model_is_ready() -> None:
    script = Script([], [app("digits", "LOADING"), app("mlp", "READY")], [app("digits", "READY"), app("mlp", "READY")])
    assert said(script).startswith("pitstop is ready: digits, mlp\n  try: curl localhost:8000/v2/models/digits")


def test_the_last_line_says_where_ray_s_dashboard_is() -> None:
    assert said(Script([app("a", "READY")]), "Ray's dashboard: x").endswith("/v2/models/a\n  Ray's dashboard: x")
    assert said(Script([app("a", "READY")])).endswith("/v2/models/a")


def test_a_failed_model_is_named_with_its_reason_and_the_rest_is_ready(caplog: pytest.LogCaptureFixture) -> None:
    script = Script([app("a", "UNAVAILABLE", "no such file"), app("b", "READY")])
    assert "ready: b, without a\n" in said(script)
    assert "no such file" in caplog.text


def test_where_nothing_came_up_nothing_is_called_ready() -> None:
    assert said(Script([app("a", "UNAVAILABLE")])).startswith("pitstop: no model started, without a")


def test_a_model_that_takes_long_is_named_with_what_serve_says(caplog: pytest.LogCaptureFixture) -> None:
    looks = [[app("a", "LOADING", "waiting for a GPU")]] * 120
    said(Script(*looks, [app("a", "READY")]))
    assert caplog.text.count("still waiting for a: waiting for a GPU") == 1


def test_that_ray_has_no_room_is_said_as_soon_as_serve_says_so(caplog: pytest.LogCaptureFixture) -> None:
    crowded = App("a", "1", "LOADING", False, "Ray has no room for 2 Ingress replicas", no_room=True)
    said(Script([app("a", "LOADING")], *[[crowded]] * 20, [app("a", "READY")]))
    assert caplog.text.count("still waiting for a: Ray has no room for 2 Ingress replicas") == 1
