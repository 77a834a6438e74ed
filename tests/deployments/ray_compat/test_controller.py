"""Where replicas listen, as the controller tells HAProxy."""

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest
import ray.util
from ray.serve.schema import Target, TargetGroup

from deployments.ray_compat import controller

RequestProtocol: Any = TargetGroup.model_fields["protocol"].annotation


def group(app_name: str, protocol: Any, *ips: str) -> TargetGroup:
    targets = [Target(ip=ip, port=30000 + number, instance_id="", name=ip) for number, ip in enumerate(ips)]
    return TargetGroup(targets=targets, route_prefix="/", protocol=protocol, app_name=app_name)


def test_replicas_of_this_node_are_reached_by_localhost_and_proxies_are_no_replicas(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    http, grpc = RequestProtocol.HTTP, RequestProtocol.GRPC

    async def groups(from_proxy_manager: bool) -> list[TargetGroup]:
        assert from_proxy_manager
        return [group("m", http, "10.0.0.1", "10.0.0.2"), group("m", grpc, "10.0.0.1"), group("", http, "10.0.0.3")]

    remote: Any = SimpleNamespace(_controller=SimpleNamespace(get_target_groups=SimpleNamespace(remote=groups)))
    monkeypatch.setattr(controller, "_client", lambda: remote)
    monkeypatch.setattr(ray.util, "get_node_ip_address", lambda: "10.0.0.1")
    found = asyncio.run(controller.replica_addresses())
    assert found == {"m": [("127.0.0.1", 30000), ("10.0.0.2", 30001)]}
