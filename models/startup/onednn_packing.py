"""Packs the weights of convolutions for this CPU, with TorchScript's optimize_for_inference, where that is faster.

It passes a frozen graph's convolutions to oneDNN with their weights already in oneDNN's layout. Whether that is faster
depends on network, processor and batch, so the start times both forwards, and uses the packed one from the smallest
batch on at which it wins. It costs a second copy of the weights, and more while it is made, so large networks go
without.
"""

import io
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeGuard

import torch

from ..runtime.forward_times import WINS
from ..runtime.layout import Layout
from ..runtime.runner import Forward, Runner
from ..signature import Shape
from .sample_inputs import SampleInputs
from .warmup import Warmed, warm

_log = logging.getLogger("pitstop")

# Making the copy takes several times the memory of the weights, too much for a large network.
_MOST_WEIGHT_BYTES = 256 * 2**20


@dataclass(frozen=True, slots=True)
class PackedForward:
    """The plain forward for batches under `from_rows` rows, the packed one from there on."""

    plain: Forward
    packed: Forward
    from_rows: int

    def __call__(self, *inputs: torch.Tensor) -> Any:
        return (self.packed if inputs[0].shape[0] >= self.from_rows else self.plain)(*inputs)


def pack(runner: Runner, samples: SampleInputs, plain_ms: dict[Shape, float]) -> Warmed:
    """Return a runner with the packed forward, where that is faster at the shapes that the plain one was timed at.

    In another precision than fp32, or without convolutions, the forward stays as it is.
    """
    packed = _packed(runner.forward, runner.layout)
    if packed is None:
        return Warmed(runner, plain_ms)
    packing = runner.with_forward(packed)
    packed_ms = warm(packing, samples, list(plain_ms))
    first = _first_win(plain_ms, packed_ms)
    if first is None:
        return Warmed(runner, plain_ms)
    chosen = _packing(runner, packed, first)
    times_ms = {shape: (plain_ms if shape[0] < first else packed_ms)[shape] for shape in plain_ms}
    return Warmed(chosen, times_ms, first)


def pack_again(runner: Runner, from_rows: int) -> Runner:
    """Return a runner with the packed forward from so many rows on, as an earlier start found it to be faster."""
    packed = _packed(runner.forward, runner.layout)
    return runner if packed is None else _packing(runner, packed, from_rows)


def packs(forward: Forward, layout: Layout) -> TypeGuard[torch.jit.ScriptModule]:
    """Whether this forward has convolutions that this device could have packed."""
    return (
        layout.device.type == "cpu"
        and layout.dtype == torch.float32
        and isinstance(forward, torch.jit.ScriptModule)
        and "aten::conv" in str(forward.inlined_graph)
    )


def _packing(runner: Runner, packed: Forward, from_rows: int) -> Runner:
    return runner.with_forward(packed if from_rows <= 1 else PackedForward(runner.forward, packed, from_rows))


def _first_win(plain_ms: Mapping[Shape, float], packed_ms: Mapping[Shape, float]) -> int | None:
    """Return the rows from which the packed forward is faster, there and on average from there on, or None."""
    sizes = sorted({rows for rows, _ in plain_ms})
    for rows in sizes:
        larger = [packed_ms[shape] / ms for shape, ms in plain_ms.items() if shape[0] >= rows]
        here = [packed_ms[shape] / ms for shape, ms in plain_ms.items() if shape[0] == rows]
        if max(sum(larger) / len(larger), sum(here) / len(here)) <= WINS:
            return rows
    return None


def _packed(module: Forward, layout: Layout) -> Forward | None:
    if not packs(module, layout) or _weight_bytes(module) > _MOST_WEIGHT_BYTES:
        return None
    try:
        packed: torch.jit.ScriptModule = torch.jit.optimize_for_inference(_twin(module))
    except (
        RuntimeError,
        OSError,
    ) as error:  # A full disk, or a pass that meets a graph it cannot rewrite; the plain forward is there.
        _log.info("convolutions stay unpacked: %s", error)
        return None
    return packed


def _weight_bytes(module: torch.jit.ScriptModule) -> int:
    """Return the size of a frozen module's constants."""
    graph = module.inlined_graph  # Held: its nodes do not outlive it.
    constants = (node.output().toIValue() for node in graph.findAllNodes("prim::Constant"))  # type: ignore[attr-defined]
    return sum(value.nbytes for value in constants if isinstance(value, torch.Tensor))


def _twin(module: torch.jit.ScriptModule) -> torch.jit.ScriptModule:
    # The passes rewrite in place, and a deep copy shares its graph with the original.
    # In memory, since torch ends the process if a disk is full.
    kept = io.BytesIO()
    torch.jit.save(module, kept)
    kept.seek(0)
    twin: torch.jit.ScriptModule = torch.jit.load(kept)  # type: ignore[no-untyped-call]
    return twin
