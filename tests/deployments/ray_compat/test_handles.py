"""How replicas call each other."""

import pytest

from configs.lint.environment import MESSAGE_LIMIT
from deployments.ray_compat import handles
from tests.deployments.ray_compat import stand_ins


@pytest.mark.parametrize("limit, by_reference", [("2147483647", False), (None, True)])
def test_calls_go_by_grpc_only_where_it_takes_large_ones(
    limit: str | None, by_reference: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(MESSAGE_LIMIT, raising=False)
    if limit is not None:
        monkeypatch.setenv(MESSAGE_LIMIT, limit)
    assert handles.by_grpc(stand_ins.Handle()).chosen == {"_by_reference": by_reference}
