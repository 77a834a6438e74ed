"""Handles to deployments, by which replicas call each other."""

import os
from typing import Any

from ray import serve

from configs.lint.environment import MESSAGE_LIMIT

from .names import Part, functions, usable

BY_GRPC = Part(
    "the choice of gRPC for calls between replicas",
    "calls go as Serve has it: by gRPC with RAY_SERVE_THROUGHPUT_OPTIMIZED, else through Ray's object store",
    functions("ray.serve.handle", {"DeploymentHandle.options": "_by_reference"}),
)
UNCHECKED = Part(
    "a handle to an application that may not be there yet",
    "the controller is asked twice a second for a canary that is not deployed",
    functions("ray.serve.api", {"get_deployment_handle": "deployment_name app_name _check_exists _record_telemetry"}),
)


def by_grpc(handle: Any) -> Any:
    """Return a handle whose calls go by gRPC if RAY_SERVE_REPLICA_GRPC_MAX_MESSAGE_LENGTH is set.

    Without it gRPC would refuse calls over 4 MiB, and they go through Ray's object store.

    Through the object store a call ends only once its caller has taken the answer. Ray waits for that on the event loop
    of the replica that was called, so a caller that is stopped can freeze it.
    """
    return handle.options(_by_reference=MESSAGE_LIMIT not in os.environ) if usable(BY_GRPC) else handle


def handle_to(deployment: str, application: str) -> Any:
    """Return a handle to a deployment, which may be deployed later. This may wait for the controller.

    Raises:
        Exception: where Serve looks for it at once and it is not there.
    """
    flags: Any = {"_check_exists": False, "_record_telemetry": False} if usable(UNCHECKED) else {}
    return serve.get_deployment_handle(deployment, application, **flags)
