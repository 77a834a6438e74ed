"""Host memory in which batches are collated, and its copy to the device.

On the CPU there is one slot per shape. On a GPU there are two, pinned, so that one is filled while the other is copied;
a slot is filled again only after its copy has ended.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from ..signature import Array, Shape, Tensor
from .dims import by_name
from .layout import Layout

_SLOTS_ON_GPU = 2


@dataclass(slots=True)
class Slot:
    """Buffers of one shape, seen by numpy and by torch; `copied` is when the last copy out of them ended."""

    arrays: list[Array]
    tensors: list[torch.Tensor]
    copied: torch.cuda.Event | None = None


class Staging:
    """The slots of one runner."""

    def __init__(self, model_inputs: Sequence[Tensor], layout: Layout) -> None:
        self._model_inputs = model_inputs
        self._layout = layout
        self._gpu = layout.device.type == "cuda"
        self._stream = torch.cuda.Stream(layout.device) if self._gpu else None  # type: ignore[no-untyped-call]
        self._slots: dict[Shape, list[Slot]] = {}

    def slot(self, shape: Shape) -> Slot:
        """Return a slot of this shape that may be written to."""
        slots = self._slots.get(shape)
        if slots is None:
            slots = [self._new(shape) for _ in range(_SLOTS_ON_GPU if self._gpu else 1)]
            # A shape that was not warmed must not keep memory for ever.
            if shape in self._layout.shapes:
                self._slots[shape] = slots
        if not self._gpu:
            return slots[0]
        slot = slots.pop(0)
        slots.append(slot)
        if slot.copied is not None:
            slot.copied.synchronize()
        return slot

    def copy(self, slot: Slot) -> tuple[list[torch.Tensor], torch.cuda.Event | None]:
        """Return the slot's tensors on the device, and the event after which they are there."""
        if self._stream is None:
            return [to_device(tensor, self._layout) for tensor in slot.tensors], None
        with torch.cuda.stream(self._stream):
            moved = [to_device(tensor, self._layout) for tensor in slot.tensors]
            slot.copied = torch.cuda.Event()  # type: ignore[no-untyped-call]
            slot.copied.record()
        for tensor in moved:
            # Allocated on this stream and read on the forward's: the allocator must know both.
            tensor.record_stream(torch.cuda.default_stream(self._layout.device))
        return moved, slot.copied

    def _new(self, shape: Shape) -> Slot:
        rows, sizes = shape
        of = by_name(self._layout.dims, sizes)
        tensors = []
        for tensor in self._model_inputs:
            staged = torch.from_numpy(np.zeros((rows, *tensor.sized(of)), dtype=tensor.numpy))
            tensors.append(staged.pin_memory() if self._gpu else staged)
        return Slot([tensor.numpy() for tensor in tensors], tensors)


def to_device(tensor: torch.Tensor, layout: Layout) -> torch.Tensor:
    """Copy a staged tensor to the device, in the precision and memory format of the model."""
    moved = tensor.to(layout.device, non_blocking=True)
    if moved.is_floating_point() and not layout.as_declared:
        moved = moved.to(layout.dtype)
    if layout.channels_last and moved.dim() == 4:
        moved = moved.contiguous(memory_format=torch.channels_last)
    return moved
