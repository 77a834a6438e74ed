"""Fixed initial weights that leave the caller's random numbers alone."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Draw CPU random numbers from `seed` inside the block; afterwards the global generator is as it was."""
    with torch.random.fork_rng(devices=[]):
        # Not torch.manual_seed, which would also reseed every GPU, and those are not forked here.
        torch.default_generator.manual_seed(seed)
        yield
