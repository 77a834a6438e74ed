"""A call that was not answered is counted as refused or as lost, whatever gRPC tells of it."""

from typing import Any

import grpc
import pytest

from benchmarks import steady_load
from benchmarks.steady_load import Outcomes


class Failed(grpc.RpcError):  # type: ignore[misc]  # grpc has no types.
    """An error as grpc raises it; its details may be absent."""

    def __init__(self, details: str | None) -> None:
        self._details = details

    def code(self) -> grpc.StatusCode:
        return grpc.StatusCode.UNAVAILABLE

    def details(self) -> str | None:
        return self._details


@pytest.mark.parametrize(
    "details, refused, lost",
    [
        ("failed to connect to all addresses", 1, []),
        ("Socket closed", 0, ["StatusCode.UNAVAILABLE Socket closed"]),
        (None, 0, ["StatusCode.UNAVAILABLE None"]),
    ],
)
def test_a_call_that_fails_is_refused_where_there_was_no_connection_and_lost_otherwise(
    details: str | None, refused: int, lost: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    class Stub:
        def __init__(self, _channel: Any) -> None: ...

        def ModelInfer(self, _message: Any, **_: Any) -> None:  # noqa: N802
            raise Failed(details)

    monkeypatch.setattr(steady_load, "GRPCInferenceServiceStub", Stub)
    found = Outcomes()
    found.call(1, None)
    assert (found.good, found.refused, found.lost) == (0, refused, lost)
