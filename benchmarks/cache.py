"""Where peers' environments and prepared models are kept: outside the repository, which stays clean."""

import os
from pathlib import Path

from .device import chosen

VARIABLE = "PITSTOP_BENCH_CACHE"
PROJECT = Path(__file__).resolve().parents[1]


def root() -> Path:
    """Return $PITSTOP_BENCH_CACHE, or ~/.cache/pitstop-bench."""
    return Path(os.environ.get(VARIABLE) or Path.home() / ".cache" / "pitstop-bench")


def environment(peer: str) -> Path:
    return root() / "venvs" / peer


def prepared(workload: str) -> Path:
    """Return where the TorchScript file of a workload's model is, the same for every server."""
    return root() / "models" / f"{workload}{chosen().suffix}.pt"


def expected(workload: str) -> Path:
    """Return where the eager model's answers to a workload's inputs are: float32 [inputs, outputs], .npy."""
    return root() / "models" / f"{workload}.npy"


def tokenizer() -> Path:
    return root() / "models" / "tokenizer.json"
