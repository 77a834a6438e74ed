"""The pods of a RayService: what is in them, when they are ready, and how they end."""

from typing import Any

from configs.problems import mapping

from .groups import Group

Manifest = dict[str, Any]


class Verbatim(str):
    """Text that YAML writes line by line, as it is."""

    __slots__ = ()


LABEL = "app.kubernetes.io/name"
# KubeRay finds the ports of Serve, the dashboard and Ray's own by these names.
GCS, DASHBOARD, METRICS, AGENT = 6379, 8265, 8080, 52365
_DRAIN_S = 300
# Ray starts elsewhere what runs here, then stops it; only then may the pod go. The brackets keep grep from itself.
_LEAVE = f"""\
ray drain-node --reason DRAIN_NODE_REASON_PREEMPTION --reason-message "the pod ends" \
--deadline-remaining-seconds {_DRAIN_S}
while grep -qs "[S]erveReplica" /proc/[0-9]*/cmdline; do sleep 1; done
"""
_UNPRIVILEGED = {
    "runAsNonRoot": True,
    "runAsUser": 1000,
    "allowPrivilegeEscalation": False,
    "capabilities": {"drop": ["ALL"]},
    "seccompProfile": {"type": "RuntimeDefault"},
}


def serve_ports(raw: Any) -> dict[str, int]:
    """Return the ports that clients come to, by name."""
    http = {"serve": int(mapping(raw, "http_options").get("port", 8000))}
    grpc = mapping(raw, "grpc_options")
    return {**http, "grpc": int(grpc.get("port", 9000))} if grpc.get("grpc_servicer_functions") else http


def head(name: str, image: str, raw: Any) -> Manifest:
    """Return the head group: Ray's and Serve's controllers, and no model."""
    ports = {"gcs-server": GCS, "dashboard": DASHBOARD, "metrics": METRICS, **serve_ports(raw)}
    container = {
        **_container("ray-head", image, ports, _resources(cores=2, gpus=0, memory_gib=8)),
        "readinessProbe": _probe(DASHBOARD, "/api/gcs_healthz"),
        "livenessProbe": _probe(DASHBOARD, "/api/gcs_healthz", failures=12),
    }
    return {
        "rayStartParams": {"num-cpus": "0", "dashboard-host": "0.0.0.0"},
        "template": _template(name, container, grace_s=60),
    }


def worker(name: str, image: str, raw: Any, group: Group) -> Manifest:
    """Return one group of workers."""
    gpus = int(group.pod.gpus)
    resources = _resources(group.cores, gpus, memory_gib=2 * group.cores + 8 * gpus + 2)
    ports = {"metrics": METRICS, **serve_ports(raw)}
    container = {
        **_container("ray-worker", image, ports, resources),
        # Answers once this pod's HAProxy knows a replica: before that, the pod has nothing to serve with.
        "readinessProbe": _probe(ports["serve"], "/-/healthz", failures=1),
        "livenessProbe": _probe(AGENT, "/api/local_raylet_healthz", failures=12),
        "lifecycle": {"preStop": {"exec": {"command": ["/bin/bash", "-c", Verbatim(_LEAVE)]}}},
    }
    return {
        "groupName": group.name,
        "replicas": group.least,
        "minReplicas": group.least,
        "maxReplicas": group.most,
        "rayStartParams": {"num-cpus": str(int(group.pod.cpus))},
        "template": _template(name, container, grace_s=_DRAIN_S + 60),
    }


def _container(name: str, image: str, ports: dict[str, int], resources: Manifest) -> Manifest:
    return {
        "name": name,
        "image": image,
        "ports": [{"containerPort": port, "name": each} for each, port in ports.items()],
        "resources": resources,
        "securityContext": _UNPRIVILEGED,
    }


def _template(name: str, container: Manifest, grace_s: int) -> Manifest:
    return {
        "metadata": {"labels": {LABEL: name}},
        "spec": {"containers": [container], "terminationGracePeriodSeconds": grace_s},
    }


def _resources(cores: int, gpus: int, memory_gib: int) -> Manifest:
    """Return requests that equal limits: a replica that shares its cores is one whose latency nobody knows."""
    found = {"cpu": str(cores), "memory": f"{memory_gib}Gi", **({"nvidia.com/gpu": str(gpus)} if gpus else {})}
    return {"requests": found, "limits": dict(found)}


def _probe(port: int, path: str, failures: int = 3) -> Manifest:
    return {
        "httpGet": {"port": port, "path": path},
        "initialDelaySeconds": 10,
        "periodSeconds": 5,
        "timeoutSeconds": 5,
        "failureThreshold": failures,
    }
