"""Rules for an `autoscaling_config`, mostly for pitstop's own policy, deployments/autoscaling/."""

from collections.abc import Iterator, Mapping
from typing import Any

from ..problems import Keys, Problem, items, mapping, where
from ..schema import Tunables
from .applications import INGRESS, MODEL

TARGET_QUEUE = "deployments.autoscaling:TargetQueue"
_EXAMPLE = "write `user_config: {targets: {queue_ms: 50}}`: how long a row may wait until its forward begins"
# Serve averages over the look-back period; reports at Serve's default interval of 10 s are out of date by then.
_SLOW_PUSH_S = 10.0


def autoscaling_rules(raw: Mapping[str, Any]) -> Iterator[Problem]:
    """Yield the problems of deployments with an autoscaling_config."""
    for index, app in items(raw, "applications"):
        for number, deployment in items(app, "deployments"):
            keys: Keys = ("applications", index, "deployments", number, "autoscaling_config")
            config = mapping(deployment, "autoscaling_config")
            if not config:
                continue
            yield from _bounds(raw, config, keys)
            function = mapping(config, "policy").get("policy_function")
            if function == TARGET_QUEUE:
                yield from [*_measured(raw, app, deployment, keys)] or _target(raw, config, deployment, keys)
                yield from _pushes(raw, config, keys)
            elif isinstance(function, str):
                yield from _other(raw, function, keys)
            elif "policy_kwargs" in mapping(config, "policy"):
                at = (*keys, "policy", "policy_kwargs")
                what = "is given without policy_function: Serve's own policy takes no arguments"
                yield Problem(at, where(raw, at), what, f"write `policy_function: {TARGET_QUEUE}`")


def _bounds(raw: object, config: Mapping[str, Any], keys: Keys) -> Iterator[Problem]:
    least, most = config.get("min_replicas", 1), config.get("max_replicas", 1)
    if type(least) is int and type(most) is int and least > most:
        at = (*keys, "min_replicas")
        what = f"is {least}, above max_replicas ({most})"
        yield Problem(at, where(raw, at), what, "lower it, or raise max_replicas, whose default is 1")


def _measured(raw: object, app: Mapping[str, Any], deployment: Mapping[str, Any], keys: Keys) -> Iterator[Problem]:
    """Refuse the policy if no replica reports what it reads. Replicas of Model report it."""
    name, args = deployment.get("name"), mapping(app, "args")
    at = (*keys, "policy")
    if app.get("import_path") != MODEL or name == INGRESS:
        what = f"reads the reports of Model's replicas, and {name!r} reports nothing"
        yield Problem(at, where(raw, at), what, "remove the policy; Serve's own policy then counts requests")
    elif args.get("ingress_replicas"):
        what = "cannot see the queue: with ingress_replicas the rows wait in front of Model"
        yield Problem(
            at, where(raw, at), what, "remove ingress_replicas, or the policy; Serve's own policy then counts requests"
        )


def _target(raw: object, config: Mapping[str, Any], deployment: Mapping[str, Any], keys: Keys) -> Iterator[Problem]:
    at = (*keys, "policy", "policy_kwargs")
    if mapping(config, "policy").get("policy_kwargs"):
        yield Problem(at, where(raw, at), "is given, and TargetQueue has no arguments", _EXAMPLE)
    user_config = mapping(deployment, "user_config")
    path = (*keys[:-1], "user_config", "targets", "queue_ms")
    target = mapping(user_config, "targets").get("queue_ms")
    wait_s = user_config.get("batch_wait_timeout_s", 0)
    timeout_s = user_config.get("request_timeout_s", Tunables.model_fields["request_timeout_s"].default)
    if target is None:
        yield Problem(path, where(raw, path), "is missing: TargetQueue scales by it", _EXAMPLE)
    elif not isinstance(target, int | float):  # The schema says so.
        return
    elif isinstance(wait_s, int | float) and wait_s * 1000 >= target:
        what = (
            f"is {target:g}, not above user_config.batch_wait_timeout_s ({wait_s:g} s): "
            "every row may wait that long for a fuller batch"
        )
        yield Problem(path, where(raw, path), what, "lower batch_wait_timeout_s, or raise the target")
    elif isinstance(timeout_s, int | float) and target >= timeout_s * 1000:
        what = f"is {target:g}, not below request_timeout_s ({timeout_s:g} s): requests would end with 408 first"
        yield Problem(path, where(raw, path), what, _EXAMPLE)


def _pushes(raw: object, config: Mapping[str, Any], keys: Keys) -> Iterator[Problem]:
    every = config.get("metrics_interval_s", _SLOW_PUSH_S)
    if isinstance(every, int | float) and every >= _SLOW_PUSH_S:
        at = (*keys, "metrics_interval_s")
        what = f"is {every:g} seconds: the policy learns of a queue that late"
        yield Problem(at, where(raw, at), what, "write `metrics_interval_s: 2` and `look_back_period_s: 10`", "warning")


def _other(raw: object, function: str, keys: Keys) -> Iterator[Problem]:
    if function.startswith("deployments."):  # Anything else is a policy of the user's own.
        at = (*keys, "policy", "policy_function")
        yield Problem(at, where(raw, at), f"{function!r} does not exist", f"did you mean {TARGET_QUEUE!r}?")
