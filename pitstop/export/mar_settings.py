"""TorchServe's settings in this project's words, and every one that has none.

The archive's own model-config.yaml goes before config.properties, as it does in TorchServe where a value is above 0.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from models.errors import ModelError

# Two full batches of single rows: one on the device, one waiting.
_BATCHES_PER_REPLICA = 2
_MOST_ROWS, _LONGEST_WAIT_MS = 65536, 10_000
_OURS = {"minWorkers", "maxWorkers", "batchSize", "maxBatchDelay", "responseTimeout", "deviceType", "pt2"}
_ONE_MODEL = {"defaultVersion", "marName"}
_SERVER = {
    "inference_address": "use http_options of the YAML; requests come to /v2/models/<name>/infer and /predict",
    "management_address": "there is no management API: change the YAML and `serve deploy` it",
    "metrics_address": "Ray exports the metrics",
    "enable_envvars_config": "the YAML alone says what is served",
    "install_py_dep_per_model": "install the requirements where Ray runs, or put them into the image",
}


@dataclass(slots=True)
class Settings:
    """Keys for `args`, for the deployment, for its `user_config`; and a line for each setting, kept or lost."""

    args: dict[str, Any] = field(default_factory=dict)
    deployment: dict[str, Any] = field(default_factory=dict)
    user_config: dict[str, Any] = field(default_factory=dict)
    kept: list[str] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)


def translate(own: Mapping[str, Any], properties: Mapping[str, str], name: str) -> Settings:
    """Return the settings. `own` is the archive's model-config.yaml, `properties` TorchServe's config.properties."""
    found = Settings()
    merged = {**_defaults(properties), **_of_model(properties, name, found), **_set(own)}
    _batching(merged, found)
    _workers(merged, found)
    _device(merged, found)
    _limits(properties, found)
    for key, value in merged.items():
        if key not in _OURS | _ONE_MODEL:
            found.lost.append(f"{key}: {_short(value)}: there is no such setting here")
    return found


def properties_of(text: str) -> dict[str, str]:
    """Read a Java properties file: `key=value`, # and ! begin comments, a backslash continues a line."""
    found = {}
    for line in text.replace("\\\r\n", "").replace("\\\n", "").splitlines():
        key, equals, value = line.strip().partition("=")
        if equals and not key.startswith(("#", "!")):
            found[key.strip()] = value.strip()
    return found


def _set(own: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in own.items() if not (isinstance(value, int | float) and value <= 0)}


def _defaults(properties: Mapping[str, str]) -> dict[str, Any]:
    names = {"default_response_timeout": "responseTimeout", "default_workers_per_model": "minWorkers"}
    return {ours: properties[theirs] for theirs, ours in names.items() if theirs in properties}


def _of_model(properties: Mapping[str, str], name: str, found: Settings) -> dict[str, Any]:
    if "models" not in properties:
        return {}
    try:
        versions = json.loads(properties["models"]).get(name, {})
        chosen = [each for each in versions.values() if each.get("defaultVersion")] or list(versions.values())
    except (ValueError, AttributeError) as error:
        raise ModelError("config.properties: `models` is not JSON of models and versions\nhelp: correct it") from error
    if len(versions) > 1:
        found.lost.append(f"models: {name} has {len(versions)} versions, its default one was taken")
    return dict(chosen[0]) if chosen else {}


def _batching(merged: Mapping[str, Any], found: Settings) -> None:
    rows = _number(merged, "batchSize", _MOST_ROWS)
    if rows is not None:
        found.args["max_batch_size"] = max(1, int(rows))
        found.kept.append(f"batchSize {rows:g} -> max_batch_size: {int(rows)}")
        if rows == 1:
            found.lost.append("batchSize: 1 switches batching off, TorchServe's default: raise max_batch_size")
    wait = _number(merged, "maxBatchDelay", _LONGEST_WAIT_MS)
    if wait is not None:
        found.user_config["batch_wait_timeout_s"] = wait / 1000
        found.kept.append(
            f"maxBatchDelay {wait:g} ms -> batch_wait_timeout_s: {wait / 1000:g} "
            "(0 is often better: see docs/tuning.md)"
        )
    limit = _number(merged, "responseTimeout", None)
    if limit:
        found.user_config["request_timeout_s"] = limit
        found.kept.append(
            f"responseTimeout {limit:g} s -> request_timeout_s: {limit:g}; a late request gets 408, no worker restarts"
        )


def _workers(merged: Mapping[str, Any], found: Settings) -> None:
    least, most = _number(merged, "minWorkers", None), _number(merged, "maxWorkers", None)
    if not least and not most:
        return
    low, high = int(least or 1), int(most or least or 1)
    if high <= low:
        found.deployment["num_replicas"] = low
        found.kept.append(f"minWorkers {low} -> num_replicas: {low}")
        return
    rows = found.args.get("max_batch_size", 32)
    found.deployment["autoscaling_config"] = {
        "min_replicas": low,
        "max_replicas": high,
        "target_ongoing_requests": _BATCHES_PER_REPLICA * rows,
    }
    found.kept.append(f"minWorkers {low}, maxWorkers {high} -> autoscaling_config, by load and not by hand")


def _device(merged: Mapping[str, Any], found: Settings) -> None:
    names = {"cpu": "cpu", "gpu": "cuda"}
    kind = merged.get("deviceType")
    if kind in names:
        found.args["device"] = names[kind]
        found.kept.append(f"deviceType {kind} -> device: {names[kind]}")
    elif kind is not None:
        found.lost.append(f"deviceType: {kind}: runs on cuda and cpu only")
    pt2 = merged.get("pt2")
    if pt2 is None:
        return
    options = pt2.get("compile", pt2) if isinstance(pt2, dict) else {"backend": pt2}
    if (
        isinstance(options, dict)
        and options.get("enable", "backend" in options)
        and options.get("backend", "inductor") == "inductor"
    ):
        found.args["backend"] = "compile"
        found.kept.append("pt2: torch.compile with inductor -> backend: compile")
    else:
        found.lost.append(f"pt2: {_short(pt2)}: choose backend: torchscript, compile or eager yourself")


def _limits(properties: Mapping[str, str], found: Settings) -> None:
    rows = _number(properties, "job_queue_size", None)
    if rows:
        found.user_config["max_queue_size"] = int(rows)
        found.kept.append(
            f"job_queue_size {int(rows)} -> max_queue_size: {int(rows)} (rows, where it counted requests)"
        )
    size = _number(properties, "max_request_size", None)
    if size:
        found.user_config["max_body_mib"] = round(size / 2**20, 3)
        found.kept.append(f"max_request_size {int(size)} bytes -> max_body_mib: {round(size / 2**20, 3)}")
    known = {"models", "job_queue_size", "max_request_size", "default_response_timeout", "default_workers_per_model"}
    for key, value in properties.items():
        if key not in known:
            found.lost.append(f"{key}={_short(value)}: {_SERVER.get(key, 'a setting of the server as a whole')}")


def _number(merged: Mapping[str, Any], key: str, most: int | None) -> float | None:
    value = merged.get(key)
    if value is None:
        return None
    try:
        number = float(value)
    except (TypeError, ValueError) as error:
        raise ModelError(f"{key}: {value!r} is not a number\nhelp: correct it in TorchServe's configuration") from error
    number = number if most is None else min(number, most)
    return int(number) if number.is_integer() else number


def _short(value: object) -> str:
    text = " ".join(str(value).split())
    return text if len(text) <= 60 else f"{text[:57]}..."
