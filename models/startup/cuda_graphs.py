"""CUDA graphs: a forward captured once for a warmed shape and replayed, where that is faster.

A small batch on a fast GPU waits for the CPU, which launches some hundred kernels one by one; a graph launches them in
one call. Batches always have warmed shapes, so the start captures these one after the other, the smallest first, and
stops at the first that a graph does not make faster: larger ones wait for the GPU, and their memory is saved.

A graph repeats the capture. A forward that reads data back to decide on it is refused beforehand; one that keeps state
in Python has already failed its checks. https://docs.pytorch.org/docs/stable/notes/cuda.html#cuda-graphs
"""

import logging
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import torch

from ..runtime import memory
from ..runtime.forward_times import WINS
from ..runtime.runner import Forward, Runner
from ..runtime.staging import to_device
from ..signature import Shape
from ..user_code import call
from .sample_inputs import SampleInputs
from .warmup import Warmed, warm

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

    A replay overwrites the outputs of the one before it: the caller must copy them on the same stream before the next
    call, as models.runtime.runner does.
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


def graph(warmed: Warmed, samples: SampleInputs) -> Warmed:
    """Return a GPU's warmed runner, with graphs for the shapes where they are faster."""
    runner, forward_ms = warmed.runner, warmed.forward_ms
    graphed, times_ms = Graphed(runner.forward), dict(forward_ms)
    replaying = runner.with_forward(graphed)
    # No two graphs run at once, so they share one memory pool.
    pool = torch.cuda.graph_pool_handle()
    for shape in reversed(runner.layout.shapes):
        captured = _attempt(graphed.plain, _inputs(runner, samples, shape), pool, shape)
        if captured is None:
            break
        key = _key(captured.inputs)
        graphed.graphs[key] = captured
        ms = warm(replaying, samples, [shape])[shape]
        if ms > WINS * forward_ms[shape]:
            del graphed.graphs[key]
            break
        times_ms[shape] = ms
    return Warmed(replaying if graphed.graphs else runner, times_ms)


def _attempt(forward: Forward, inputs: list[torch.Tensor], pool: Any, shape: Shape) -> Captured | None:
    """Capture one shape; None if that fails, for whatever reason: then the plain forward runs, as it did before."""
    try:
        _refuse_to_wait(forward, inputs)
        return _capture(forward, inputs, pool)
    except Exception as error:  # Models may raise anything.
        _log.info("no CUDA graph at %s rows: %s", shape[0], str(error).strip().partition("\n")[0])
        if memory.is_out_of_memory(error):
            memory.release(error)
        return None


def _refuse_to_wait(forward: Forward, inputs: list[torch.Tensor]) -> None:
    """Run the forward once, and raise if the CPU waits for the GPU in it: a failed capture does damage."""
    before = torch.cuda.get_sync_debug_mode()
    torch.cuda.set_sync_debug_mode("error")
    try:
        with torch.inference_mode():
            call(forward, *inputs)
    finally:
        torch.cuda.set_sync_debug_mode(before)


def _capture(forward: Forward, inputs: list[torch.Tensor], pool: Any) -> Captured:
    captured, stream = torch.cuda.CUDAGraph(), torch.cuda.current_stream()
    try:
        # Check only this thread: others may use the device meanwhile.
        with torch.inference_mode(), torch.cuda.graph(captured, pool=pool, capture_error_mode="thread_local"):
            outputs = call(forward, *inputs)
    except Exception:
        # torch before 2.12 leaves the thread on the capture's stream and its allocator in the capture's pool, where
        # memory is never given back: https://github.com/pytorch/pytorch/pull/180395
        torch.cuda.set_stream(stream)
        with suppress(Exception):
            torch._C._cuda_endAllocateToPool(stream.device_index, pool)
        raise
    return Captured(captured, inputs, outputs)


def _inputs(runner: Runner, samples: SampleInputs, shape: Shape) -> list[torch.Tensor]:
    rows = samples.shaped(shape, seed=4)
    with torch.inference_mode():
        return [to_device(torch.from_numpy(rows[tensor.name]), runner.layout) for tensor in runner.model_inputs]


def _key(inputs: Any) -> _Key:
    return tuple(each.shape for each in inputs)
