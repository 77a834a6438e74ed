"""The RayService: the config as it is, and the cluster that it runs on."""

from collections.abc import Sequence
from importlib.metadata import version
from typing import Any

from .groups import Group
from .pods import LABEL, Manifest, Verbatim, head, serve_ports, worker


def ray_service(name: str, image: str, text: str, raw: Any, groups: Sequence[Group]) -> Manifest:
    """Return the RayService of a config whose file has this `text`."""
    return {
        "apiVersion": "ray.io/v1",
        "kind": "RayService",
        "metadata": {"name": name, "labels": {LABEL: name}},
        "spec": {
            "serveConfigV2": Verbatim(text),
            "rayClusterConfig": {
                "rayVersion": version("ray"),
                "authOptions": {"mode": "token"},
                "enableInTreeAutoscaling": True,
                "autoscalerOptions": {"idleTimeoutSeconds": 300, "upscalingMode": "Default"},
                "headGroupSpec": head(name, image, raw),
                "workerGroupSpecs": [worker(name, image, raw, group) for group in groups],
            },
            "serveService": {
                "metadata": {"name": f"{name}-serve", "labels": {LABEL: name}},
                "spec": {
                    "ports": [
                        {"name": each, "port": port, "targetPort": port} for each, port in serve_ports(raw).items()
                    ]
                },
            },
        },
    }
