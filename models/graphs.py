"""CUDA graphs: a forward written down once for each warmed shape and replayed whole, where that is faster.

A small batch on a fast GPU waits for the CPU, which launches some hundred kernels one by one; a graph launches them in
one call. Batches only ever have warmed shapes, so each shape is captured in the start, timed beside the plain forward,
and kept where it wins. A graph cannot lie as a trace can: CUDA refuses to capture a forward that reads data back to
decide on it, and such a model stays as it is. https://docs.pytorch.org/docs/stable/notes/cuda.html#cuda-graphs
"""

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch

from . import memory
from .draw import Draw
from .runner import Forward, Runner
from .signature import Shape
from .staging import to_device
from .warmup import warm

# Timings of one start scatter by a few per cent: less than this is no win.
_WINS = 0.95
_log = logging.getLogger("pitstop")

_Key = tuple[torch.Size, ...]


@dataclass(frozen=True, slots=True)
class Captured:
    """A graph with the memory that it reads and writes. `outputs` are as forward returned them."""

    graph: torch.cuda.CUDAGraph
    inputs: list[torch.Tensor]
    outputs: Any


@dataclass(frozen=True, slots=True)
class Graphed:
    """The plain forward, replayed for the shapes that have a graph.

    A replay writes where the one before it wrote: whoever calls copies the outputs on the same stream before the next
    call, as models.runner does.
    """

    plain: Forward
    graphs: dict[_Key, Captured] = field(default_factory=dict)

    def __call__(self, *inputs: torch.Tensor) -> Any:
        captured = self.graphs.get(_key(inputs))
        if captured is None:
            return self.plain(*inputs)
        for own, given in zip(captured.inputs, inputs, strict=True):
            own.copy_(given)
        captured.graph.replay()
        return captured.outputs


def graph(runner: Runner, draw: Draw, forward_ms: Mapping[Shape, float]) -> dict[Shape, float]:
    """Give a warmed runner on a GPU graphs for the shapes where they are faster; return every forward, in ms."""
    graphed = Graphed(runner.forward)
    _capture_all(graphed, runner, draw)
    if not graphed.graphs:
        return dict(forward_ms)
    plain, runner.forward = runner.forward, graphed
    found = dict(forward_ms)
    for shape, ms in warm(runner, draw).items():
        if ms <= _WINS * forward_ms[shape]:
            found[shape] = ms
        else:
            graphed.graphs.pop(_key(_inputs(runner, draw, shape)), None)
    if not graphed.graphs:
        runner.forward = plain
    # What the plain forwards took, the graphs have in memory of their own.
    torch.cuda.empty_cache()
    return found


def _capture_all(graphed: Graphed, runner: Runner, draw: Draw) -> None:
    """Capture every shape, largest first, in one pool of memory: no two of them ever run at once."""
    pool = torch.cuda.graph_pool_handle()
    for shape in runner.layout.shapes:
        try:
            captured = _capture(runner.forward, _inputs(runner, draw, shape), pool)
        except Exception as error:  # Whatever stops a capture, the plain forward has run at this shape and goes on.
            _log.info("no CUDA graph at %s rows: %s", shape[0], str(error).strip().partition("\n")[0])
            if memory.is_out_of_memory(error):
                memory.release(error)
            return
        graphed.graphs[_key(captured.inputs)] = captured


def _capture(forward: Forward, inputs: list[torch.Tensor], pool: Any) -> Captured:
    captured = torch.cuda.CUDAGraph()
    with torch.inference_mode():
        # Other threads may go on using the device: the checks are for this one.
        with torch.cuda.graph(captured, pool=pool, capture_error_mode="thread_local"):
            outputs = forward(*inputs)
        captured.replay()
    torch.cuda.synchronize()
    return Captured(captured, inputs, outputs)


def _inputs(runner: Runner, draw: Draw, shape: Shape) -> list[torch.Tensor]:
    rows = draw.shaped(shape, seed=4)
    with torch.inference_mode():
        return [to_device(torch.from_numpy(rows[tensor.name]), runner.layout) for tensor in runner.feed]


def _key(inputs: Any) -> _Key:
    return tuple(each.shape for each in inputs)
