"""The builders that serve_config.yaml names: `model` for each model, `root` for the server's own pages.

Every .bind() is here.
"""

from pathlib import Path
from typing import Any

import ray
from ray import serve

import configs
import models
from configs.loader import parse_model
from configs.schema import RootConfig

from .resources import actor_options, place

_HERE = Path(__file__).resolve().parents[1]


def model(args: dict[str, Any]) -> serve.Application:
    """Build the application of one model; `args` are the fields of configs.schema.ModelConfig."""
    _check_packages()
    from . import ingress, model

    config = parse_model(args)
    placement = place(config, ray.cluster_resources().get("GPU", 0))  # type: ignore[no-untyped-call]
    options = actor_options(config, placement)
    if config.ingress_replicas == 0:
        return model.Deployment.options(ray_actor_options=options).bind(args, placement)
    device = model.DeviceDeployment.options(ray_actor_options=options).bind(args, placement)
    options = {"num_cpus": 1}
    return ingress.Deployment.options(num_replicas=config.ingress_replicas, ray_actor_options=options).bind(
        args, device
    )


def root(args: dict[str, Any]) -> serve.Application:
    """Build the root application: health, server metadata, repository index, and the JSON 404."""
    _check_packages()
    from .root import Deployment

    return Deployment.bind(RootConfig(**args))


def _check_packages() -> None:
    """Refuse another package of the same name: `models` and `configs` are common ones."""
    for package in (configs, models):
        folder = Path(package.__file__ or "").resolve().parent
        if folder.parent != _HERE:
            raise ImportError(
                f"{package.__name__} comes from {folder}, deployments from {_HERE}\n"
                "help: start `serve run` in the project's root, and rename or uninstall the other package"
            )
