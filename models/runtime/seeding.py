"""Torch's random numbers, seeded for one forward."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from configs.schema import ModelConfig

# Of the comparisons of a start. Any number would do.
CHECK_SEED = 0


def seed_of(config: ModelConfig) -> int | None:
    """Return what every forward that is compared is seeded with; None if the model may not draw at all."""
    return CHECK_SEED if config.random else None


@contextmanager
def seeded(seed: int | None, device: torch.device) -> Iterator[None]:
    """Seed torch's generators of this device for a block, and put them back behind it; with None, leave them.

    If they were not put back, a client that names a seed would know what the next requests draw.
    """
    if seed is None:
        yield
        return
    gpu = device.type == "cuda"
    with torch.random.fork_rng(devices=[device] if gpu else []):
        # Not torch.manual_seed: it would seed other GPUs too, which are not put back.
        torch.default_generator.manual_seed(seed)
        if gpu:
            torch.cuda.manual_seed(seed)
        yield
