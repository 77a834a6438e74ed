"""Runs one batch: collate into a warmed shape, copy in, forward, copy out.

Owned by the one device thread: grad mode is per thread, and the buffers below are used again by every batch.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from . import padding
from .errors import ModelError
from .signature import Array, Rows, Tensor

Forward = Callable[..., Any]
Shape = tuple[int, int]  # rows and length; length is 0 where no size is open


@dataclass(frozen=True, slots=True)
class Layout:
    """Where and how batches reach the model."""

    device: torch.device
    dtype: torch.dtype
    channels_last: bool
    sizes: tuple[int, ...]
    lengths: tuple[int, ...]

    @property
    def shapes(self) -> list[Shape]:
        """Every shape to warm, largest first: the allocator then meets its peak at once."""
        return [(size, length) for size in reversed(self.sizes) for length in reversed(self.lengths or (0,))]


class Runner:
    """One model on one device. `run` takes requests' arrays and gives every output's rows back."""

    def __init__(self, forward: Forward, feed: Sequence[Tensor], outputs: Sequence[Tensor], layout: Layout) -> None:
        self.forward = forward
        self.feed = tuple(feed)
        self.outputs = tuple(outputs)
        self.layout = layout
        self.warmed: set[Shape] = set()
        self.unwarmed = 0
        self._buffers: dict[Shape, list[tuple[Array, torch.Tensor]]] = {}

    def run(self, parts: Sequence[Rows]) -> dict[str, Array]:
        """Answer parts that share a batch.

        Args:
            parts: for each request, an array per input, all of a batch's dtype and of shape [rows, ...].

        Returns:
            An array per output, of shape [rows of all parts, ...], in the order of the parts.
        """
        shape = self.shape(parts)
        if shape not in self.warmed:
            self.unwarmed += 1
        buffers = self._buffers_for(shape)
        rows = 0
        for tensor, (buffer, _) in zip(self.feed, buffers, strict=True):
            rows = padding.fill(buffer, [part[tensor.name] for part in parts])
        with torch.inference_mode():
            found = self.raw([staged for _, staged in buffers])
            return {
                tensor.name: self._fetch(value, tensor, rows, buffers)
                for tensor, value in zip(self.outputs, found, strict=True)
            }

    def raw(self, staged: Sequence[torch.Tensor]) -> list[torch.Tensor]:
        """Copy tensors in, run the forward and return the outputs on the device, in the signature's order."""
        return in_order(self.forward(*[to_device(tensor, self.layout) for tensor in staged]), self.outputs)

    def shape(self, parts: Sequence[Rows]) -> Shape:
        """Return the padded shape that these parts will take."""
        first = self.feed[0].name
        rows = sum(part[first].shape[0] for part in parts)
        length = 0
        if self.layout.lengths:
            open_inputs = [tensor.name for tensor in self.feed if not tensor.fixed]
            length = max(padding.longest([part[name] for part in parts]) for name in open_inputs)
            length = padding.round_up(length, self.layout.lengths)
        return padding.round_up(rows, self.layout.sizes), length

    def _buffers_for(self, shape: Shape) -> list[tuple[Array, torch.Tensor]]:
        if shape in self._buffers:
            return self._buffers[shape]
        rows, length = shape
        buffers = []
        for tensor in self.feed:
            sizes = (rows, *(length if size == -1 else size for size in tensor.shape[1:]))
            staged = torch.from_numpy(np.zeros(sizes, dtype=tensor.numpy))
            if self.layout.device.type == "cuda":
                staged = staged.pin_memory()
            buffers.append((staged.numpy(), staged))
        # A shape nobody warmed must not keep memory for ever.
        if shape[0] in self.layout.sizes:
            self._buffers[shape] = buffers
        return buffers

    def _fetch(
        self, value: torch.Tensor, tensor: Tensor, rows: int, buffers: list[tuple[Array, torch.Tensor]]
    ) -> Array:
        dtype = torch_dtype(tensor.numpy)
        found = value[:rows].to(device="cpu", dtype=dtype).contiguous()
        aliases = {staged.untyped_storage().data_ptr() for _, staged in buffers}
        if found.untyped_storage().data_ptr() in aliases:
            found = found.clone()
        return found.numpy()


def to_device(tensor: torch.Tensor, layout: Layout) -> torch.Tensor:
    """Copy a staged tensor to the device, in the precision and memory format of the model."""
    moved = tensor.to(layout.device, non_blocking=True)
    if moved.is_floating_point():
        moved = moved.to(layout.dtype)
    if layout.channels_last and moved.dim() == 4:
        moved = moved.contiguous(memory_format=torch.channels_last)
    return moved


def in_order(result: Any, outputs: Sequence[Tensor]) -> list[torch.Tensor]:
    """Return what forward returned as one tensor per declared output."""
    if isinstance(result, torch.Tensor):
        found: list[Any] = [result]
    elif isinstance(result, dict):
        absent = [tensor.name for tensor in outputs if tensor.name not in result]
        if absent:
            raise ModelError(
                f"outputs: forward returned {sorted(result)}, without {absent}\n"
                "help: name the outputs as the model does"
            )
        found = [result[tensor.name] for tensor in outputs]
    else:
        found = list(result) if isinstance(result, tuple | list) else [result]
    if len(found) != len(outputs) or not all(isinstance(value, torch.Tensor) for value in found):
        kinds = [type(value).__name__ for value in found]
        raise ModelError(
            f"outputs: forward returned {kinds}, the config names {[tensor.name for tensor in outputs]}\n"
            "help: list one output per tensor that forward returns, in its order"
        )
    return found


def torch_dtype(dtype: np.dtype[Any]) -> torch.dtype:
    return torch.from_numpy(np.empty(0, dtype=dtype)).dtype
