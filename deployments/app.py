"""The builders that serve_config.yaml names: `model` for each model, `root` for the server's own pages.

Every .bind() is here.
"""

from importlib.util import find_spec
from pathlib import Path
from typing import Any

import ray
from ray import serve

_HERE = Path(__file__).resolve().parents[1]
# Both are imported only once they are known to be ours.
_PACKAGES = ("configs", "models")
_START = "start `serve run` in the project's root"


def model(args: dict[str, Any]) -> serve.Application:
    """Build the application of one model; `args` are the fields of configs.schema.ModelConfig."""
    _check_packages()
    from configs.loader import parse_model

    from . import ingress, model
    from .resources import actor_options, place

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
    from configs.schema import RootConfig

    from .root import Deployment

    return Deployment.bind(RootConfig(**args))


def _check_packages() -> None:
    """Refuse another package of the same name: `models` and `configs` are common ones."""
    for name in _PACKAGES:
        spec = find_spec(name)
        if spec is None:
            raise ImportError(f"there is no package {name}\nhelp: {_START}, or have that on PYTHONPATH")
        found = Path([*(spec.submodule_search_locations or ()), spec.origin or ""][0]).resolve()
        if found != _HERE / name:
            file = found / "net.py" if found.is_dir() else found
            raise ImportError(
                f"{name} comes from {found}, but the name is taken by a package of pitstop itself, {_HERE / name}\n"
                f"help: {_START}, and name your code by its file, such as factory: {file}:Net"
            )
