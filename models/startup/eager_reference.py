"""The eager model that everything is compared with: the network as written, in fp32, or in fp64 if that is declared."""

from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import nn

from ..runtime.counts import own_entries
from ..runtime.layout import Layout
from ..runtime.runner import in_order
from ..runtime.seeding import seeded
from ..runtime.staging import to_device
from ..signature import Rows, Tensor
from ..user_code import call
from .precision import has_float64
from .prepare import plain_arithmetic, reference_of
from .sample_inputs import SampleInputs


@dataclass(frozen=True, slots=True)
class Reference:
    """Answers rows eagerly and unpadded. `layout` has the device and the dtype; each forward draws from `seed`."""

    module: nn.Module
    model_inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    layout: Layout
    seed: int | None = None

    @property
    def precision(self) -> str:
        return self.layout.precision

    def __call__(self, rows: Rows) -> list[torch.Tensor]:
        """Return one tensor per output, on the device: copies, so that no later call can change them."""
        found = self.returned(rows)
        with torch.inference_mode():
            read = own_entries(in_order(found, self.outputs), self.outputs)
            return [value.detach().clone() for value in read]

    def returned(self, rows: Rows) -> Any:
        """Return what the module does."""
        # A copy of the rows: a forward may work in place.
        staged = [torch.from_numpy(rows[tensor.name].copy()) for tensor in self.model_inputs]
        with torch.inference_mode(), plain_arithmetic(), seeded(self.seed, self.layout.device):
            return call(self.module, *[to_device(each, self.layout) for each in staged])


def eager_of(
    module: nn.Module, samples: SampleInputs, outputs: tuple[Tensor, ...], layout: Layout, seed: int | None
) -> Reference:
    """Return the eager reference of a model that will be prepared in this layout."""
    plain = reference_layout(module, layout)
    return Reference(reference_of(module, plain), samples.model_inputs, outputs, plain, seed)


def reference_layout(module: nn.Module, layout: Layout) -> Layout:
    """Return the layout of the reference's batches."""
    double = layout.dtype == torch.float64 or (has_float64(module) and not layout.as_declared)
    dtype, precision = (torch.float64, "fp64") if double else (torch.float32, "fp32")
    return replace(layout, dtype=dtype, channels_last=False, precision=precision)
