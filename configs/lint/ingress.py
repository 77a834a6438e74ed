"""Rules for a config with ingress replicas: they use their own `user_config`, not the model's."""

from collections.abc import Iterator, Mapping
from typing import Any

from ..problems import Keys, Problem, items, mapping, where
from .applications import INGRESS, MODEL

# The ingress replicas use these in the model's place. Both have a forward_timeout_s of their own, only the device has
# check_finite, and the canary has its own rules.
_READ_BY_INGRESS = (
    "max_batch_size",
    "batch_wait_timeout_s",
    "max_queue_size",
    "request_timeout_s",
    "max_body_mib",
    "retry_after_s",
)


def ingress_rules(raw: Mapping[str, Any]) -> Iterator[Problem]:
    """Yield a warning for each key of a model's user_config that its ingress replicas do not get."""
    for index, app in items(raw, "applications"):
        if app.get("import_path") != MODEL or not mapping(app, "args").get("ingress_replicas"):
            continue
        ingress = next((each for _, each in items(app, "deployments") if each.get("name") == INGRESS), {})
        known = mapping(ingress, "user_config")
        for number, deployment in items(app, "deployments"):
            if deployment.get("name") == INGRESS:
                continue
            keys: Keys = ("applications", index, "deployments", number, "user_config")
            for key, value in mapping(deployment, "user_config").items():
                if key in _READ_BY_INGRESS and known.get(key) != value:
                    what = (
                        f"differs from the deployment named {INGRESS}, which reads the requests and uses its own value"
                    )
                    fix = f"also write `{key}: {value}` into the user_config of a deployment named {INGRESS}"
                    yield Problem((*keys, key), where(raw, (*keys, key)), what, fix, "warning")
