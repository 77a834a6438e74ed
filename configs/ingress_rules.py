"""What this project asks of a config with replicas that read requests: they, not the model's, go by most tunables."""

from collections.abc import Iterator, Mapping
from typing import Any

from .problems import Keys, Problem, items, mapping, where
from .rules import INGRESS, MODEL

# Of a model's user_config; the others are the device's own, or the canary's, which has rules of its own.
_READ_IN_FRONT = ("max_rows", "wait_ms", "max_queued_rows", "timeout_s", "max_body_mib", "retry_after_s")


def ingress_rules(raw: Mapping[str, Any]) -> Iterator[Problem]:
    """Yield a warning for each tunable of a model that its ingress replicas will not know."""
    for index, app in items(raw, "applications"):
        if app.get("import_path") != MODEL or not mapping(app, "args").get("ingress_replicas"):
            continue
        front = next((each for _, each in items(app, "deployments") if each.get("name") == INGRESS), {})
        known = mapping(front, "user_config")
        for number, deployment in items(app, "deployments"):
            if deployment.get("name") == INGRESS:
                continue
            keys: Keys = ("applications", index, "deployments", number, "user_config")
            for key, value in mapping(deployment, "user_config").items():
                if key in _READ_IN_FRONT and known.get(key) != value:
                    what = (
                        f"is not what the deployment named {INGRESS} has, which reads the requests and goes by its own"
                    )
                    fix = f"write `{key}: {value}` into the user_config of a deployment named {INGRESS} too"
                    yield Problem((*keys, key), where(raw, (*keys, key)), what, fix, "warning")
