"""Which device a model gets, and what Ray must reserve for it. GPU and CPU replicas differ only here."""

import os
from dataclasses import dataclass
from typing import Any

from configs.schema import ModelConfig


@dataclass(frozen=True, slots=True)
class Placement:
    """The chosen device, and, if `auto` found no GPU, a message that says so."""

    device: str
    fallback: str | None


def place(config: ModelConfig, cluster_gpus: float) -> Placement:
    """Choose a device: cuda and cpu as named, auto a GPU if the cluster has one."""
    if config.device != "auto":
        return Placement(config.device, None)
    if cluster_gpus > 0:
        return Placement("cuda", None)
    return Placement("cpu", "device: auto found no GPU in the cluster, so this model runs on the CPU")


def actor_options(config: ModelConfig, placement: Placement) -> dict[str, Any]:
    """Return Ray's reservation for one replica."""
    options: dict[str, Any] = {"num_cpus": config.num_cpus}
    if placement.device == "cuda":
        options["num_gpus"] = config.num_gpus
        if config.accelerator_type is not None:
            options["accelerator_type"] = config.accelerator_type
    return options


def confine(config: ModelConfig, placement: Placement) -> None:
    """Limit this process to the device that it reserved; call it before torch first uses a device."""
    if placement.device == "cpu":
        # Ray does not hide the GPUs from an actor that reserved none.
        os.environ["CUDA_VISIBLE_DEVICES"] = ""
        import torch

        torch.set_num_threads(config.threads)
