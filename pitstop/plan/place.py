"""Where a model's settings stand in its file, and which changes make a plan or a tuned setting of them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from configs.lint.applications import INGRESS, MODEL
from configs.loader import ConfigError, Deployment, ModelApp
from configs.problems import Keys, items, mapping
from configs.schema import ModelConfig
from configs.suggest import advise

from ..yaml_edit.patch import Change, put
from .choose import Bounds, Option

# Serve's own default of 5 would keep batches empty.
ONGOING = 1024


@dataclass(frozen=True, slots=True)
class Place:
    """One model of a file. `deployment` leads to its deployment's mapping; None where the file has none."""

    app: ModelApp
    keys: Keys
    deployment: Keys | None


def find_model(deployment: Deployment, name: str | None) -> Place:
    """Return the model of that name, or the only one; raise ConfigError where it is not clear which is meant."""
    names = model_names(deployment, name)
    if name is None and len(names) > 1:
        raise ConfigError(f"{deployment.path}: serves {', '.join(names)}\nhelp: choose one with --model")
    chosen = names.index(name) if name is not None else 0
    keys = app_keys(deployment)[chosen]
    return Place(deployment.models[chosen], keys, deployment_keys(deployment.raw, keys))


def model_names(deployment: Deployment, name: str | None) -> list[str]:
    """Return the names of a file's models; raise ConfigError where it has none, or none of this name."""
    names = [app.config.name for app in deployment.models]
    if not names:
        help_ = "add an application with import_path: deployments.app:model"
        raise ConfigError(f"{deployment.path}: serves no model\nhelp: {help_}")
    if name is not None and name not in names:
        raise ConfigError(f"{deployment.path}: has no model {name!r}\nhelp: {advise(name, names)}")
    return names


def app_keys(deployment: Deployment) -> list[Keys]:
    """Return where each of the file's models stands, in their order."""
    found = items(deployment.raw, "applications")
    return [("applications", index) for index, app in found if app.get("import_path") == MODEL]


def deployment_keys(raw: Mapping[str, Any], keys: Keys) -> Keys | None:
    """Return where the deployment of a model stands, which need not be the first; None where the file has none."""
    listed = items(mapping(raw, *keys), "deployments")
    return next(((*keys, "deployments", index) for index, each in listed if each.get("name") != INGRESS), None)


def plan_changes(place: Place, option: Option, bounds: Bounds, autoscale: bool) -> list[Change]:
    """Return what the file needs so that it serves as planned."""
    setting, app = option.setting, place.app
    # Left out, the replica would choose by its own timing, and the plan would be for another batcher.
    wanted: dict[str, Any] = {"max_batch_size": setting.max_batch_size}
    wait_s = setting.wait_ms / 1000
    if app.tunables.batch_wait_timeout_s != wait_s:
        wanted["batch_wait_timeout_s"] = wait_s
    scale = _autoscaling(option, bounds) if autoscale else {"num_replicas": setting.replicas}
    device = _device(place, option)
    if place.deployment is None:
        entry: dict[str, Any] = {"name": "Model"}
        for key, value in scale.items():
            put(entry, tuple(key.split(".")), value)
        entry |= {"max_ongoing_requests": ONGOING, "user_config": wanted}
        return [*device, Change((*place.keys, "deployments"), [entry])]
    at = place.deployment
    changes = [Change((*at, *key.split(".")), value) for key, value in scale.items()]
    changes += [Change((*at, "user_config", key), value, default=_DEFAULTS[key]) for key, value in wanted.items()]
    return [*device, *changes]


def scales_itself(place: Place) -> bool:
    """Whether the file already lets Serve choose the number of replicas."""
    replicas = place.app.replicas
    return replicas.get("num_replicas") == "auto" or "autoscaling_config" in replicas


def args_changes(place: Place, wanted: Mapping[str, Any]) -> list[Change]:
    """Return what changes keys of a model's `args`; those that share the block stay at the schema's default."""
    defaults = {key: field.default for key, field in ModelConfig.model_fields.items()}
    changes = [Change((*place.keys, "args", key), value, default=defaults[key]) for key, value in wanted.items()]
    rows, limit = wanted.get("max_batch_size"), place.app.tunables.max_batch_size
    if rows is not None and limit is not None and limit > rows and place.deployment is not None:
        changes.append(Change((*place.deployment, "user_config", "max_batch_size"), rows))
    return changes


_DEFAULTS: dict[str, Any] = {"max_batch_size": None, "batch_wait_timeout_s": 0}


def _device(place: Place, option: Option) -> list[Change]:
    asked, got = place.app.config.device, option.profile.device
    # `auto` means a GPU where there is one, so only the CPU must be asked for by name.
    return args_changes(place, {"device": got}) if asked != got and (asked != "auto" or got == "cpu") else []


def _autoscaling(option: Option, bounds: Bounds) -> dict[str, Any]:
    return {
        "num_replicas": "auto",
        "autoscaling_config.min_replicas": bounds.least,
        "autoscaling_config.initial_replicas": option.setting.replicas,
        "autoscaling_config.max_replicas": bounds.most,
        "autoscaling_config.target_ongoing_requests": bounds.target_ongoing,
    }
