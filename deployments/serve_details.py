"""The details that Serve's controller has of all applications, also of one that it is building.

For such an application, and for one whose build failed, Serve lists no deployments, though the replicas from before the
change still answer.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import ray

from .applications import word
from .ray_compat import controller


def serve_details() -> dict[str, Any]:
    """Ask the controller; this waits for its answer. `nodes`, which is Ray's, is how many are alive."""
    details = controller.details()
    details["nodes"] = sum(bool(each["Alive"]) for each in ray.nodes())  # type: ignore[no-untyped-call]
    if any(map(_lists_none, details["applications"].values())):
        fill(details["applications"], controller.running_replicas())
    return details


def fill(applications: Mapping[str, dict[str, Any]], running: Mapping[tuple[str, str], int]) -> None:
    """Add the deployments that Serve does not list, from the running replicas of each application and deployment."""
    for name, application in applications.items():
        if _lists_none(application):
            config = (application.get("deployed_app_config") or {}).get("deployments") or ()
            ours = {deployment: count for (app, deployment), count in running.items() if app == name}
            # A deployment at zero starts once the change is built; after a failed build Serve no longer scales.
            least = 0 if word(application["status"]) == "DEPLOYING" else 1
            application["deployments"] = {each: _deployment(each, count, least, config) for each, count in ours.items()}


def _lists_none(application: Mapping[str, Any]) -> bool:
    return not application.get("deployments") and word(application["status"]) != "DELETING"


def _deployment(name: str, count: int, least: int, config: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    return {
        "replicas": [{"state": "RUNNING"}] * count,
        "target_num_replicas": max(count, least),
        "deployment_config": next((each for each in config if each.get("name") == name), {}),
    }
