"""Whom the server asks for its description, how often, and what a token changes."""

import asyncio
from typing import Any

import orjson
import pytest

from deployments.applications import App
from deployments.core.errors import NotReady, ServeError, Unauthorized
from deployments.openapi.description import Description
from tests.deployments.fake_service import identity
from tests.deployments.openapi.test_document import SERVER, metadata


class Fleet:
    """Models that count how often they are asked; `locked` needs the token t."""

    def __init__(self, *apps: App) -> None:
        self._apps = list(apps)
        self.asked: list[str] = []

    async def apps(self) -> list[App]:
        return self._apps

    async def metadata(self, name: str, _version: str, headers: Any, _within_s: float | None) -> dict[str, Any]:
        self.asked.append(name)
        assert ("pitstop-for-page", "1") in headers
        if name == "locked" and ("authorization", "Bearer t") not in headers:
            raise Unauthorized
        if name == "gone":
            raise NotReady
        return {**metadata(identity("FP32", 2)), "name": name}


def app(name: str, state: str = "READY") -> App:
    return App(name, "1", state, failed=False, message="")


def told(fleet: Fleet, *authorization: bytes | None) -> list[dict[str, Any]]:
    """Return the descriptions for one request after the other, all at one moment."""
    described = Description(fleet, fleet, SERVER, secured=False)

    async def ask() -> list[dict[str, Any]]:
        return [orjson.loads(await described.text(each)) for each in authorization]

    return asyncio.run(ask())


def test_only_models_that_are_ready_are_asked_and_the_others_are_named() -> None:
    fleet = Fleet(app("fine"), app("slow", "LOADING"), app("gone"))
    [found] = told(fleet, None)
    assert sorted(fleet.asked) == ["fine", "gone"]
    assert "/v2/models/fine/infer" in found["paths"]
    assert not any("slow" in path or "gone" in path for path in found["paths"])
    assert "Left out: `slow`. It is not ready." in found["info"]["description"]
    assert "Left out: `gone`. The model is not ready" in found["info"]["description"]


def test_models_are_asked_once_for_many_readers() -> None:
    fleet = Fleet(app("fine"))
    told(fleet, None, None, None)
    assert fleet.asked == ["fine"]


def test_a_model_behind_tokens_is_described_to_those_who_may_ask_it_alone() -> None:
    fleet = Fleet(app("fine"), app("locked"))
    without, wrong, right, again = told(fleet, None, b"Bearer x", b"Bearer t", None)
    for each in (without, wrong, again):
        assert not any("locked" in path for path in each["paths"])
        assert "Left out: `locked`. A token is needed" in each["info"]["description"]
    assert right["paths"]["/v2/models/locked/infer"]["post"]["security"] == [{"bearer": []}]
    assert right["paths"]["/v2/models/fine/infer"]["post"]["security"] == []


def test_a_header_that_is_no_ascii_is_not_passed_on() -> None:
    [found] = told(Fleet(app("locked")), "Bearer ü".encode())
    assert "Left out: `locked`" in found["info"]["description"]


def test_a_header_asks_only_models_behind_tokens_and_nobody_where_there_is_none() -> None:
    told(fleet := Fleet(app("fine")), b"Bearer x", b"Bearer y", None)
    assert fleet.asked == ["fine"]
    told(fleet := Fleet(app("fine"), app("locked")), b"Bearer x", b"Bearer y", None)
    assert sorted(fleet.asked) == ["fine", "locked", "locked", "locked"]


def test_it_is_an_error_of_its_reader_where_serve_does_not_say_what_runs() -> None:
    class Silent(Fleet):
        async def apps(self) -> list[App]:
            raise ServeError("away")

    with pytest.raises(ServeError, match="away"):
        told(Silent(), None)
