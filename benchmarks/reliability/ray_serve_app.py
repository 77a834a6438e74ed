"""The same model on Ray Serve as its documentation writes it: a Starlette request, @serve.batch, a dict back."""

from typing import Any

import torch
from ray import serve
from safetensors.torch import load_file
from starlette.requests import Request

from .model import SlowLine

MAX_ROWS = 8


# Raised from the default of 5, with which batches of eight never fill.
@serve.deployment(max_ongoing_requests=256, ray_actor_options={"num_cpus": 0.1})
class Line:
    """One replica."""

    def __init__(self, weights: str, ms: float, trouble: str, bf16: bool = False) -> None:
        self.model = SlowLine(ms, trouble).eval()
        self.model.load_state_dict(load_file(weights))
        self.dtype = torch.bfloat16 if bf16 else torch.float32
        self.model.to(self.dtype)

    @serve.batch(max_batch_size=MAX_ROWS, batch_wait_timeout_s=0.01)
    async def infer(self, rows: list[float]) -> list[tuple[float, float]]:
        with torch.inference_mode():
            y, version = self.model(torch.tensor(rows, dtype=self.dtype).reshape(-1, 1))
        return list(zip(y[:, 0].tolist(), version[:, 0].tolist(), strict=True))

    async def __call__(self, request: Request) -> dict[str, float]:
        y, version = await self.infer((await request.json())["x"])
        return {"y": y, "version": version}


def build(args: dict[str, Any]) -> serve.Application:
    """Build the application; a change of `args` replaces its replicas."""
    return Line.bind(**args)  # type: ignore[attr-defined,no-any-return]
