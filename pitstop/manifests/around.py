"""What stands around a RayService: who may reach it, how many pods may go at once, and what Prometheus scrapes."""

from typing import Any

from .pods import DASHBOARD, LABEL, METRICS, Manifest, serve_ports

_NODE_TYPE = "ray.io/node-type"


def network_policy(name: str, raw: Any) -> Manifest:
    """Let clients in to the ports that serve, Prometheus to the metrics, the operator to the head; and nobody else."""
    pods = {"matchLabels": {LABEL: name}}
    return {
        **_of("networking.k8s.io/v1", "NetworkPolicy", name),
        "spec": {
            "podSelector": pods,
            "policyTypes": ["Ingress"],
            "ingress": [
                {"from": [{"podSelector": pods}]},
                {"ports": [_tcp(port) for port in serve_ports(raw).values()]},
                {"from": [_elsewhere("app.kubernetes.io/name", "prometheus")], "ports": [_tcp(METRICS)]},
                {
                    "from": [_elsewhere("app.kubernetes.io/name", "kuberay-operator")],
                    "ports": [_tcp(DASHBOARD)],
                },
            ],
        },
    }


def disruption_budgets(name: str) -> list[Manifest]:
    """Let one worker go at a time, and the head not at all: with it the whole cluster starts anew."""
    return [_budget(name, "worker", 1), _budget(name, "head", 0)]


def metrics(name: str) -> list[Manifest]:
    """Return a service over all pods of the cluster, ready or not, and its monitor."""
    labels = {LABEL: name, "app.kubernetes.io/component": "metrics"}
    return [
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": f"{name}-metrics", "labels": labels},
            "spec": {
                "clusterIP": "None",
                "publishNotReadyAddresses": True,
                "selector": {LABEL: name},
                "ports": [{"name": "metrics", "port": METRICS, "targetPort": METRICS}],
            },
        },
        {
            "apiVersion": "monitoring.coreos.com/v1",
            "kind": "ServiceMonitor",
            "metadata": {"name": name, "labels": {LABEL: name}},
            "spec": {
                "selector": {"matchLabels": labels},
                "podTargetLabels": ["ray.io/cluster", _NODE_TYPE, "ray.io/group"],
                "endpoints": [{"port": "metrics", "path": "/metrics", "interval": "15s"}],
            },
        },
    ]


def _budget(name: str, kind: str, most: int) -> Manifest:
    return {
        **_of("policy/v1", "PodDisruptionBudget", f"{name}-{kind}"),
        "spec": {"maxUnavailable": most, "selector": {"matchLabels": {LABEL: name, _NODE_TYPE: kind}}},
    }


def _of(version: str, kind: str, name: str) -> Manifest:
    return {"apiVersion": version, "kind": kind, "metadata": {"name": name}}


def _elsewhere(label: str, value: str) -> Manifest:
    """Return pods of a label, whatever their namespace."""
    return {"namespaceSelector": {}, "podSelector": {"matchLabels": {label: value}}}


def _tcp(port: int) -> Manifest:
    return {"protocol": "TCP", "port": port}
