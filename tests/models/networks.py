"""Small networks, each with one property that a test is about."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from models.signature import Array, Rows


class Linear(nn.Module):
    """Four numbers in, two out; honest."""

    def __init__(self, width: int = 2) -> None:
        super().__init__()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            self.layer = nn.Linear(4, width)

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(x)  # type: ignore[no-any-return]


an_instance = Linear()


def reads_a_file() -> nn.Module:
    raise OSError("no weights in the cache")


class Wrapping(nn.Module):
    """Its only child is called `module`, as DataParallel's prefix is."""

    def __init__(self) -> None:
        super().__init__()
        self.module = Linear()

    def forward(self, x: Tensor) -> Tensor:
        return self.module(x)  # type: ignore[no-any-return]


class Scaled(Linear):
    """Multiplies by a number that is neither a weight nor part of the structure."""

    def __init__(self, scale: float) -> None:
        super().__init__()
        self.scale = scale

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(x) * self.scale  # type: ignore[no-any-return]


class Identity(nn.Module):
    """Returns its input itself, not a copy."""

    def forward(self, x: Tensor) -> Tensor:
        return x


class StubbornDropout(Linear):
    """Drops values whatever the mode is."""

    def forward(self, x: Tensor) -> Tensor:
        return nn.functional.dropout(super().forward(x), 0.5, training=True)


class BatchStatistics(Linear):
    """Centres its batch, so that rows influence each other."""

    def forward(self, x: Tensor) -> Tensor:
        y = super().forward(x)
        return y - y.mean(dim=0, keepdim=True)


class RecordsGradients(Linear):
    """Switches gradients on in forward."""

    def forward(self, x: Tensor) -> Tensor:
        with torch.inference_mode(False), torch.enable_grad():
            weight = torch.ones(4, 2, requires_grad=True)
            return x.clone() @ weight


class Branches(Linear):
    """Answers by the sign of its data, per batch, in a way that TorchScript cannot compile: it reads a global."""

    def forward(self, x: Tensor) -> Tensor:
        scale = {True: 1.0, False: -1.0}[bool((x[:, 0].abs() > 1e6).any())]
        return super().forward(x) * scale * (1 if type(self).__name__ else 0)


class Waits(Linear):
    """Waits for the GPU in its forward, in a way that only a capture notices."""

    def forward(self, x: Tensor) -> Tensor:
        if x.is_cuda:
            torch.cuda.synchronize()
        return super().forward(x)


class Masked(nn.Module):
    """Adds up what the mask keeps; padding does not matter."""

    def forward(self, values: Tensor, mask: Tensor) -> Tensor:
        return (values * mask).sum(dim=1, keepdim=True)


class Unmasked(nn.Module):
    """Averages over the padded length: padding does matter."""

    def forward(self, values: Tensor) -> Tensor:
        return values.mean(dim=1, keepdim=True)


class Added(nn.Module):
    """Adds up the padded length; padding does not matter."""

    def forward(self, values: Tensor) -> Tensor:
        return values.sum(dim=1, keepdim=True)


def twice_as_long() -> Callable[[Rows], dict[str, Array]]:
    """Return values of twice the length that they come with, as a tokenizer may return more tokens than words."""
    return lambda rows: {"values": np.hstack([rows["values"], rows["values"]])}


class Counts(nn.Module):
    """Returns a pair, not the one tensor that a config may promise."""

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return x, x.sum(dim=1)


class Integers(nn.Module):
    """Integers in and out; overflows half precision."""

    def forward(self, x: Tensor) -> Tensor:
        return x * 2


class Sharp(nn.Module):
    """Subtracts two near numbers: coarse precision loses the difference."""

    def __init__(self) -> None:
        super().__init__()
        self.offset = nn.Parameter(torch.full((4,), 1000.0))

    def forward(self, x: Tensor) -> Tensor:
        return (x + self.offset) - self.offset


def not_a_module() -> int:
    return 3


class KeepsExtra(nn.Linear):
    """Has something in its state_dict beside its weights, as quantizers and tokenizers do."""

    extra: Any = None

    def get_extra_state(self) -> Any:
        return self.extra

    def set_extra_state(self, state: Any) -> None:
        if state == "broken":
            raise ValueError(state)
        self.extra = state


class Extra(nn.Module):
    """A network with such a layer in it."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = KeepsExtra(4, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.inner(x)  # type: ignore[no-any-return]


def fails_at_a_url() -> nn.Module:
    raise RuntimeError("cannot open https://user:PASSWORD@host/w.pt?sig=SECRET#SECRET of two: status 403")
