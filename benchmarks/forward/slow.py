"""A network whose forward takes about half a second on two threads, and what a thread beside it notices of that.

Run as a program it prints JSON: python -m benchmarks.forward.slow layers, or … wakes CONFIG
"""

import json
import sys
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from torch import Tensor, nn

from models.sources import source
from models.zoo.seeded import seeded
from pitstop.measure.percentiles import percentile
from pitstop.measure.timing import times_ms

from .opened import opened

WIDTH, _PLACES, _FORWARD_MS, THREADS = 1024, 1024, 500, 2
_NAP_S, _RUNS = 0.001, 8


class Slow(nn.Module):
    """Linear layers over 1024 places: x float32 [n, 1024] to y float32 [n, 1024]."""

    def __init__(self, layers: int) -> None:
        super().__init__()
        # What is built is found by the weights: each process must draw the same ones.
        with seeded(0):
            self.places = nn.Parameter(torch.randn(_PLACES, WIDTH) / WIDTH)
            self.layers = nn.ModuleList(nn.Linear(WIDTH, WIDTH) for _ in range(layers))

    def forward(self, x: Tensor) -> Tensor:
        y = x[:, None] + self.places
        for layer in self.layers:
            y = layer(y).relu()
        return y.mean(1)


def main(what: str, *arguments: str) -> None:
    torch.set_num_threads(THREADS)
    print(json.dumps(layers() if what == "layers" else wakes(*arguments)))


def layers() -> int:
    """Return how many layers make a forward of half a second here."""
    few = Slow(8)
    with torch.inference_mode():
        took_ms = min(times_ms(lambda: few(torch.zeros(1, WIDTH)), 2, least_runs=3))
    return max(1, round(len(few.layers) * _FORWARD_MS / took_ms))


def wakes(config: str) -> dict[str, dict[str, float]]:
    """Return how late a thread wakes beside forwards, in ms: pitstop's, and the same by torch's own loader."""
    served, row = opened(Path(config), "mlp"), torch.zeros(1, WIDTH)
    found = {f"pitstop, {served.how}": _late_ms(served.runner.forward, row)}
    with TemporaryDirectory(prefix="pb-") as folder:
        module = source.load(served.config.source).eval().requires_grad_(False)
        program = torch.export.export(module, (row,))
        with torch._inductor.config.patch(freezing=True):
            path = torch._inductor.aoti_compile_and_package(program, package_path=f"{folder}/slow.pt2")
        return found | {"aoti_load_package": _late_ms(torch._inductor.aoti_load_package(path), row)}


def _late_ms(forward: Callable[..., Any], row: Tensor) -> dict[str, float]:
    """Return how late a thread wakes from naps of 1 ms while another runs forwards back to back."""
    late: list[float] = []
    forward(row)

    def run() -> None:
        with torch.inference_mode():
            for _ in range(_RUNS):
                forward(row)

    worker = threading.Thread(target=run)
    began = time.perf_counter()
    worker.start()
    while worker.is_alive():
        slept = time.perf_counter()
        time.sleep(_NAP_S)
        late.append(1000 * (time.perf_counter() - slept - _NAP_S))
    forward_ms = 1000 * (time.perf_counter() - began) / _RUNS
    return {"forward_ms": forward_ms, **spans(late)}


def spans(times_ms: Sequence[float]) -> dict[str, float]:
    """Return what is told of many times."""
    levels = {"p50_ms": percentile(times_ms, 0.5), "p99_ms": percentile(times_ms, 0.99)}
    return {"count": len(times_ms), **levels, "most_ms": max(times_ms)}


if __name__ == "__main__":
    main(*sys.argv[1:])
