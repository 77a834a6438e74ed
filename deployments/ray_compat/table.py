"""All parts: docs/architecture.md lists them, tests/deployments/ray_compat holds them against what is installed."""

from . import (
    accounting,
    autoscaling,
    builds,
    controller,
    counters,
    handles,
    haproxy,
    proxies,
    servers,
    uvicorn_protocol,
)

PARTS = (
    accounting.PART,
    servers.HTTP,
    servers.GRPC,
    servers.ADDRESS,
    uvicorn_protocol.PROTOCOL,
    uvicorn_protocol.CLIENT,
    controller.DETAILS,
    controller.REPLICAS,
    controller.ADDRESSES,
    controller.OPTIONS,
    proxies.SENDING,
    proxies.ROUTER,
    handles.BY_GRPC,
    handles.UNCHECKED,
    counters.AT_ZERO,
    haproxy.PART,
    builds.PART,
    autoscaling.PART,
)
