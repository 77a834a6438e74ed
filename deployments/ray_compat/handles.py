"""Handles to deployments, by which replicas call each other."""

from typing import Any

from ray import serve

from .names import Part, functions, usable

BY_REFERENCE = Part(
    "calls between replicas through Ray's object store",
    "calls go by gRPC, which refuses over 4 MiB unless RAY_SERVE_REPLICA_GRPC_MAX_MESSAGE_LENGTH allows it",
    functions("ray.serve.handle", {"DeploymentHandle.options": "_by_reference"}),
)
UNCHECKED = Part(
    "a handle to an application that may not be there yet",
    "the controller is asked twice a second for a canary that is not deployed",
    functions("ray.serve.api", {"get_deployment_handle": "deployment_name app_name _check_exists _record_telemetry"}),
)


def by_reference(handle: Any) -> Any:
    """Return a handle whose calls go through Ray's object store.

    By gRPC, Serve's default in throughput mode, a call of over 4 MiB would be refused.
    """
    return handle.options(_by_reference=True) if usable(BY_REFERENCE) else handle


def handle_to(deployment: str, application: str) -> Any:
    """Return a handle to a deployment, which may be deployed later. This may wait for the controller.

    Raises:
        Exception: where Serve looks for it at once and it is not there.
    """
    flags: Any = {"_check_exists": False, "_record_telemetry": False} if usable(UNCHECKED) else {}
    return serve.get_deployment_handle(deployment, application, **flags)
