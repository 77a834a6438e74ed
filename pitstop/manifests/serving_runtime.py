"""A runtime for KServe: one pod, one Ray, and the config that lies beside the weights in the model's storage."""

from .pods import Manifest

# Where KServe puts what an InferenceService names as storageUri, and the port that it asks.
_STORAGE = "/mnt/models"
_PORT = 8080


def serving_runtime(name: str, image: str) -> Manifest:
    """Return the runtime. It is chosen by name only: no service that runs today changes its server."""
    amounts = {"cpu": "2", "memory": "6Gi"}
    return {
        "apiVersion": "serving.kserve.io/v1alpha1",
        "kind": "ClusterServingRuntime",
        "metadata": {"name": name},
        "spec": {
            "supportedModelFormats": [{"name": "pytorch", "version": "2", "autoSelect": False}],
            "protocolVersions": ["v2"],
            "containers": [
                {
                    "name": "kserve-container",
                    "image": image,
                    "args": ["serve", "run", f"{_STORAGE}/serve_config.yaml"],
                    "ports": [{"containerPort": _PORT, "name": "http1", "protocol": "TCP"}],
                    "readinessProbe": {
                        "httpGet": {"port": _PORT, "path": "/v2/health/ready"},
                        "periodSeconds": 5,
                        "timeoutSeconds": 5,
                        "failureThreshold": 3,
                    },
                    "resources": {"requests": dict(amounts), "limits": dict(amounts)},
                    "securityContext": {
                        "runAsNonRoot": True,
                        "allowPrivilegeEscalation": False,
                        "capabilities": {"drop": ["ALL"]},
                    },
                }
            ],
        },
    }
