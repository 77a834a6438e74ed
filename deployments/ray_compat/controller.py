"""What Serve's controller tells: all applications in detail, which replicas run, and Serve's own options."""

from typing import Any

from .names import Part, fields, functions, usable

_CLIENT, _CONTROLLER, _SCHEMA = "ray.serve._private.client", "ray.serve._private.controller", "ray.serve.schema"
_TO_CONTROLLER = (
    *functions("ray.serve.context", {"_get_global_client": ""}),
    *fields(_CLIENT, "ServeControllerClient", "_controller"),
)
DETAILS = Part(
    "what the controller tells of applications",
    "each version reads 1, a request for a model without a replica waits for one, and the gRPC proxy needs port 8000",
    (
        *functions("ray.serve.context", {"_get_global_client": ""}),
        *functions(_CLIENT, {"ServeControllerClient.get_serve_details": ""}),
        *fields(_SCHEMA, "ServeInstanceDetails", "applications http_options proxies"),
        *fields(_SCHEMA, "ApplicationDetails", "status message deployments deployed_app_config"),
        *fields(_SCHEMA, "DeploymentDetails", "message replicas target_num_replicas deployment_config"),
        *fields(_SCHEMA, "ReplicaDetails", "state"),
        *fields(_SCHEMA, "ProxyDetails", "node_ip"),
        *fields(_SCHEMA, "HTTPOptionsSchema", "host port"),
    ),
)
REPLICAS = Part(
    "what the controller tells of running replicas",
    "a model reads as not ready while a change to it is built",
    (*_TO_CONTROLLER, *functions(_CONTROLLER, {"ServeController._all_running_replicas": ""})),
)
ADDRESSES = Part(
    "where the controller says that replicas listen",
    "the console has the figures of one replica of each model, not of all",
    (
        *_TO_CONTROLLER,
        *functions(_CONTROLLER, {"ServeController.get_target_groups": "from_proxy_manager"}),
        *fields(_SCHEMA, "TargetGroup", "targets protocol app_name"),
        *fields(_SCHEMA, "Target", "ip port"),
    ),
)
OPTIONS = Part(
    "what the controller tells of its ports",
    "our own servers listen on 127.0.0.1 alone",
    (
        *_TO_CONTROLLER,
        *functions(_CONTROLLER, {"ServeController.get_http_config": "", "ServeController.get_grpc_config": ""}),
        *fields("ray.serve.config", "HTTPOptions", "host port"),
        *fields("ray.serve.config", "gRPCOptions", "port grpc_servicer_functions"),
    ),
)
_LOCALHOST = "127.0.0.1"
_PORT = 8000  # Serve's default.


def details() -> dict[str, Any]:
    """Return what ray.serve.schema.ServeInstanceDetails describes, or as much as serve.status() tells; this waits.

    Raises:
        Exception: whatever Ray raises where the controller is away.
    """
    if not usable(DETAILS):
        return _details_of_status()
    details: dict[str, Any] = _client().get_serve_details()
    return details


def running_replicas() -> dict[tuple[str, str], int]:
    """Return how many replicas run, by application and deployment; nothing where Serve does not tell. This waits."""
    if not usable(REPLICAS):
        return {}
    import ray

    running = ray.get(_client()._controller._all_running_replicas.remote())
    return {(each.app_name, each.name): len(replicas) for each, replicas in running.items()}


async def replica_addresses() -> dict[str, list[tuple[str, int]]]:
    """Return where the replicas that take HTTP listen, by application; nothing where Serve does not tell."""
    if not usable(ADDRESSES):
        return {}
    from ray.util import get_node_ip_address

    here = get_node_ip_address()  # type: ignore[no-untyped-call]
    # As HAProxy is told: to all others the controller names the proxies. It too takes this node's own by localhost, for
    # there they may listen on nothing else.
    groups = await _client()._controller.get_target_groups.remote(from_proxy_manager=True)
    http = [each for each in groups if each.app_name and str(getattr(each.protocol, "value", each.protocol)) == "HTTP"]
    return {each.app_name: [_address(target, here) for target in each.targets] for each in http}


async def options() -> tuple[Any, Any] | None:
    """Return Serve's HTTPOptions and gRPCOptions; None where Serve does not tell."""
    if not usable(OPTIONS):
        return None
    controller = _client()._controller
    return await controller.get_http_config.remote(), await controller.get_grpc_config.remote()


def _address(target: Any, here: str) -> tuple[str, int]:
    return _LOCALHOST if target.ip == here else target.ip, target.port


def _client() -> Any:
    from ray.serve.context import _get_global_client

    return _get_global_client()


def _details_of_status() -> dict[str, Any]:
    from ray import serve

    return {
        "applications": {name: _application(each) for name, each in serve.status().applications.items()},
        "http_options": {"host": "127.0.0.1", "port": _PORT},
        "proxies": {},
    }


def _application(application: Any) -> dict[str, Any]:
    deployments = {name: _deployment(each) for name, each in application.deployments.items()}
    return {"status": application.status, "message": application.message, "deployments": deployments}


def _deployment(deployment: Any) -> dict[str, Any]:
    states = [state for state, count in deployment.replica_states.items() for _ in range(count)]
    return {
        "message": deployment.message,
        "replicas": [{"state": state} for state in states],
        # Each may be scaled to zero, as far as this tells: then its requests must wait, for they start its replica.
        "deployment_config": {"autoscaling_config": {"min_replicas": 0}},
    }
