"""The models on BentoML: one worker, with its adaptive batching.

Its HTTP API takes JSON, forms and files; a binary tensor has no form of its own, so an image travels as base64.
"""

import base64
from typing import Any

import bentoml  # type: ignore[import-not-found]
import numpy as np

from benchmarks import networks

from . import settings

# BentoML reads the dtype from the annotation.
Floats = np.ndarray[Any, np.dtype[np.float32]]

# No wait, which adapts, but the latency above which requests are refused: at 100 ms some of 64 at a time were.
_REFUSE_MS = 60_000
_BATCHING = {"batchable": True, "max_batch_size": settings.MAX_ROWS, "max_latency_ms": _REFUSE_MS}


_QUIET = {"metrics": {"enabled": False}, "logging": {"access": {"enabled": False}}}


@bentoml.service(workers=settings.WORKERS, traffic={"timeout": 120}, **_QUIET)
class Served:
    """Every request is a batch of one, which BentoML joins with others."""

    def __init__(self) -> None:
        self.model = networks.load(settings.WORKLOAD, settings.MAX_ROWS)

    @bentoml.api(**_BATCHING)  # type: ignore[untyped-decorator]
    def vectors(self, x: Floats) -> Floats:
        return self.model(x)  # type: ignore[arg-type]

    @bentoml.api(**_BATCHING)  # type: ignore[untyped-decorator]
    def images(self, x: list[str]) -> Floats:
        return self.model([base64.b64decode(each) for each in x])

    @bentoml.api(**_BATCHING)  # type: ignore[untyped-decorator]
    def sentences(self, x: list[str]) -> Floats:
        return self.model(x)
