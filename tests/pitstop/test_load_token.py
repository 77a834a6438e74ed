"""The token of `pitstop load` comes from the environment and goes with every request; nothing printed holds it."""

import pytest

from pitstop.load import bodies
from pitstop.load.errors import LoadError
from pitstop.load.sender_grpc import GrpcSender
from pitstop.load.sender_http import Address
from pitstop.load.target import Target
from pitstop.load.token import token_header, token_metadata

TARGET = Target("http://h:1/v2/models/m", "m", "", Address("h", 1), ())


def test_without_the_variable_nothing_is_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PITSTOP_TOKEN", raising=False)
    assert (token_header(), token_metadata()) == ({}, ())
    assert b"uthorization" not in bodies.wire(TARGET, [], "json")


def test_every_kind_of_request_carries_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PITSTOP_TOKEN", " abc-123\n")
    for kind in ("json", "binary"):
        assert b"\r\nAuthorization: Bearer abc-123\r\n" in bodies.wire(TARGET, [], kind)
    assert ("authorization", "Bearer abc-123") in GrpcSender(TARGET.address, "m", [b""], 1)._metadata


@pytest.mark.parametrize("written", ["two words", "line\nbreak", "ümlaut"])
def test_what_would_break_a_header_is_refused_unshown(written: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PITSTOP_TOKEN", written)
    with pytest.raises(LoadError, match="PITSTOP_TOKEN") as caught:
        token_header()
    assert written not in str(caught.value)
