"""Runs one batch in three steps: stage (collate, copy in), launch (forward), finish (copy out).

The device's threads use it, since grad mode is per thread. On a GPU the steps of neighbouring batches overlap: staging
copies on a stream of its own, and a forward is queued behind the one that runs.
"""

import copy
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch

from ..errors import ModelError
from ..signature import Array, Rows, Shape, Tensor
from ..user_code import call
from . import padding
from .batch import Batch
from .counts import check_counts, without_rest
from .dims import Cut, OpenSizes, by_name
from .layout import Layout
from .nan_check import all_finite, nonfinite_rows
from .returned_values import check_returned
from .seeding import seeded
from .staging import Staging, to_device

Forward = Callable[..., Any]


class Runner:
    """One model on one device. `run` takes requests' arrays and gives every output's rows back."""

    def __init__(
        self, forward: Forward, model_inputs: Sequence[Tensor], outputs: Sequence[Tensor], layout: Layout
    ) -> None:
        self.forward = forward
        self.model_inputs = tuple(model_inputs)
        self.outputs = tuple(outputs)
        self.layout = layout
        self.warmed: set[Shape] = set()
        self.unwarmed = 0
        # Whether to look for NaN and infinity in the outputs.
        self.check_finite = False
        # Whether a batch can be staged while another runs, at no cost to it.
        self.overlaps = layout.device.type == "cuda"
        # If rows differ in size, it matters which of them share a batch.
        self.open_sizes = OpenSizes(layout.dims, self.model_inputs, self.outputs)
        cut = Cut(self.open_sizes, self.outputs)
        # What cuts an answer back to a request's own sizes, where it has open ones.
        self.cut = cut if cut else None
        self._counted = any(each.name not in {dim.name for dim in layout.dims} for each in cut.named)
        self._first = self.model_inputs[0].name
        self._staging = Staging(self.model_inputs, layout)
        self._one_stages = threading.Lock()
        self._dtypes = [torch_dtype(tensor.numpy) for tensor in self.outputs]
        # The dtypes that the first forward returned, at the start.
        self._seen: list[torch.dtype] = []
        self._form: object = None
        # The last outputs of a CPU forward, kept so that their memory is not given to the next ones. If the next ones
        # have the same memory, it is the network's own, and answers must be copies.
        self._held: list[torch.Tensor] = []
        self._reuses_memory = False

    def with_forward(self, forward: Forward) -> "Runner":
        """Return a runner of another forward that has this one's warmed shapes and staging memory."""
        other = copy.copy(self)
        other.forward, other._form = forward, None
        return other

    def run(self, parts: Sequence[Rows], seed: int | None = None) -> dict[str, Array]:
        """Answer parts that share a batch.

        Args:
            parts: for each request, an array per input, all of a batch's dtype and of shape [rows, ...].
            seed: of the forward's random numbers; by default they go on from those before.

        Returns:
            An array per output, of shape [rows of all parts, ...], in the order of the parts.
        """
        batch = self.stage(parts)
        batch.seed = seed
        return self.finish(self.launch(batch))

    def stage(self, parts: Sequence[Rows]) -> Batch:
        """Collate parts into a warmed shape and begin to copy it to the device."""
        shape = self.shape(parts)
        if shape not in self.warmed:
            self.unwarmed += 1
        # On a GPU the feeder stages while the device's thread may run a failed batch again; a slot counts as taken only
        # once it is filled.
        with self._one_stages:
            began = time.perf_counter()
            slot = self._staging.slot(shape)
            rows = 0
            for tensor, buffer in zip(self.model_inputs, slot.arrays, strict=True):
                rows = padding.fill(buffer, [part[tensor.name] for part in parts], tensor.pad)
            filled = time.perf_counter()
            inputs, ready = self._staging.copy(slot)
        return Batch(shape, rows, inputs, ready, filled - began, time.perf_counter() - filled)

    def launch(self, batch: Batch) -> Batch:
        """Run the forward; on a GPU this only queues it, behind the one that runs."""
        # What forward returned is user code too: reading it may raise anything.
        return call(self._launch, batch)

    def _launch(self, batch: Batch) -> Batch:
        batch.launched_s = time.perf_counter()
        with torch.inference_mode():
            if batch.ready is not None:
                torch.cuda.current_stream().wait_event(batch.ready)
            returned = self.forward(*batch.inputs) if batch.seed is None else self._seeded(batch, batch.seed)
            if len(self.outputs) > 1:
                self._form = same_form(returned, self._form)
            outputs = in_order(returned, self.outputs)
            self._seen = self._seen or [value.dtype for value in outputs]
            self._check(outputs, batch.shape)
            if self._counted:
                outputs = without_rest(outputs, self.outputs)
            if self.check_finite:
                # In the declared dtype: a value that is finite in fp32 may not be in an FP16 output.
                pairs = zip(outputs, self._dtypes, strict=True)
                batch.finite = all_finite([value[: batch.rows].to(dtype) for value, dtype in pairs])
            if self.overlaps:
                outputs = [
                    self._out(value, dtype, batch.rows) for value, dtype in zip(outputs, self._dtypes, strict=True)
                ]
                if batch.finite is not None:
                    batch.finite = batch.finite.to("cpu", non_blocking=True)
                batch.done = torch.cuda.Event()  # type: ignore[no-untyped-call]
                batch.done.record()
        batch.outputs = outputs
        batch.forward_s = time.perf_counter() - batch.launched_s
        return batch

    def _seeded(self, batch: Batch, seed: int) -> Any:
        with seeded(seed, self.layout.device):
            return self.forward(*batch.inputs)

    def finish(self, batch: Batch) -> dict[str, Array]:
        """Wait for the outputs and return their real rows, by name."""
        return call(self._finish, batch)

    def _finish(self, batch: Batch) -> dict[str, Array]:
        if batch.done is not None:
            batch.done.synchronize()
            batch.forward_s = time.perf_counter() - batch.launched_s
        began = time.perf_counter()
        pairs = zip(batch.outputs, self._dtypes, strict=True)
        fetched = self._own([_on_cpu(value, dtype, batch.rows) for value, dtype in pairs], batch.inputs)
        arrays = {tensor.name: value.numpy() for tensor, value in zip(self.outputs, fetched, strict=True)}
        if self._counted:
            check_counts(arrays, self.outputs)
        if batch.finite is not None and not bool(batch.finite):
            batch.nonfinite = nonfinite_rows(arrays)
        batch.fetch_s = time.perf_counter() - began
        return arrays

    def raw(self, staged: Sequence[torch.Tensor]) -> list[torch.Tensor]:
        """Copy tensors in, run the forward and return the outputs on the device, in the signature's order."""
        moved = [to_device(tensor, self.layout) for tensor in staged]
        outputs = call(lambda: in_order(self.forward(*moved), self.outputs))
        return without_rest(outputs, self.outputs) if self._counted else outputs

    def shape(self, parts: Sequence[Rows]) -> Shape:
        """Return the padded shape that these parts will take."""
        rows = sum(part[self._first].shape[0] for part in parts)
        sizes = self.open_sizes.batch(parts) if self.open_sizes else ()
        return rows if self.layout.whole else padding.round_up(rows, self.layout.sizes), sizes

    def _check(self, outputs: Sequence[torch.Tensor], shape: Shape) -> None:
        rows, sizes = shape
        check_returned(outputs, rows, self.outputs, self._seen, by_name(self.layout.dims, sizes))

    def _out(self, value: torch.Tensor, dtype: torch.dtype, rows: int) -> torch.Tensor:
        # With non_blocking torch allocates the copy in pinned memory, so that it runs behind the forward.
        return value[:rows].to(dtype).contiguous().to("cpu", non_blocking=True)

    def _own(self, outputs: list[torch.Tensor], inputs: Sequence[torch.Tensor]) -> list[torch.Tensor]:
        """Return outputs that no later forward can change: copies if the memory is the network's or an input's."""
        if not self.overlaps:  # On a GPU they were copied.
            self._reuses_memory |= any(_overlap(each, other) for each in outputs for other in self._held)
            self._held = outputs
        return [
            each.clone() if self._reuses_memory or any(_overlap(each, other) for other in inputs) else each
            for each in outputs
        ]


def same_form(result: Any, first: object) -> object:
    """Return how a result tells its outputs apart: it is one tensor or a dict, or it has names or an order.

    `first` is that of the first call, None before it.

    Raises:
        ModelError: it is otherwise now: what was read by name would be read by its place.
    """
    if isinstance(result, torch.Tensor):
        form: object = "one tensor"
    elif isinstance(result, dict):
        form = "a dict"
    else:
        form = getattr(type(result), "_fields", "values in an order")
    if first is not None and form != first:
        raise ModelError(
            f"outputs: forward returned {form}, at first {first}\nhelp: return the same structure for every input"
        )
    return form


def in_order(result: Any, outputs: Sequence[Tensor]) -> list[torch.Tensor]:
    """Return what forward returned as one tensor per declared output."""
    if isinstance(result, torch.Tensor):
        values: list[Any] = [result]
    elif isinstance(result, dict):
        absent = [tensor.name for tensor in outputs if tensor.name not in result]
        if absent:
            raise ModelError(
                f"outputs: forward returned {sorted(result)}, without {absent}\n"
                "help: name the outputs as the model does"
            )
        values = [result[tensor.name] for tensor in outputs]
    else:
        values = list(result) if isinstance(result, tuple | list) else [result]
    if len(values) != len(outputs) or not all(isinstance(value, torch.Tensor) for value in values):
        kinds = [type(value).__name__ for value in values]
        raise ModelError(
            f"outputs: forward returned {kinds}, the config names {[tensor.name for tensor in outputs]}\n"
            "help: list one output per tensor that forward returns, in its order"
        )
    return values


def torch_dtype(dtype: np.dtype[Any]) -> torch.dtype:
    return torch.from_numpy(np.empty(0, dtype=dtype)).dtype


def _on_cpu(value: torch.Tensor, dtype: torch.dtype, rows: int) -> torch.Tensor:
    # If the model records a graph even so, the start's check must see it.
    return value.detach()[:rows].to(device="cpu", dtype=dtype).contiguous()


def _overlap(one: torch.Tensor, other: torch.Tensor) -> bool:
    """Whether two tensors share memory, by address, since torch does not know the views that numpy makes."""
    first, second = one.untyped_storage(), other.untyped_storage()
    start, begin = first.data_ptr(), second.data_ptr()
    return start < begin + second.nbytes() and begin < start + first.nbytes()
