"""Networks that a start has to see through: chance, state, padding, datatypes, and the names of their parameters."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from models.signature import Array, Rows


class Noise(nn.Module):
    """Adds chance to its input."""

    def forward(self, x: Tensor) -> Tensor:
        return x + torch.randn_like(x)


class Stateful(nn.Module):
    """Carries what it was asked into its next answer, and returns its own memory of it."""

    def __init__(self) -> None:
        super().__init__()
        self.kept = torch.zeros(1, 4)

    def forward(self, x: Tensor) -> Tensor:
        self.kept = torch.tanh(x[:1] + self.kept)
        return x + self.kept


class Remembers(Stateful):
    """Answers one request well after itself, and otherwise after another: only others in between show it."""

    def forward(self, x: Tensor) -> Tensor:
        before, self.kept = self.kept, x[:1].clone()
        return x + before


class LessItsFirst(Stateful):
    """Takes the mean of the first rows that it sees off all others."""

    def __init__(self) -> None:
        super().__init__()
        self.first: Tensor | None = None

    def forward(self, x: Tensor) -> Tensor:
        if self.first is None:
            self.first = x.mean(0, keepdim=True).clone()
        return x - self.first


class Counts(nn.Module):
    """Drifts by very little at each call."""

    def __init__(self) -> None:
        super().__init__()
        self.calls = 0

    def forward(self, x: Tensor) -> Tensor:
        self.calls += 1
        return x + 1e-4 * self.calls


class SilencedBySum(nn.Module):
    """Answers nothing where the numbers of the whole batch are large."""

    def forward(self, x: Tensor) -> Tensor:
        return x * 0 if bool(x.abs().sum() > 1e3) else x + 0


class Highest(nn.Module):
    """The largest step: zeros behind a row count where its own numbers are below zero."""

    def forward(self, x: Tensor) -> Tensor:
        return x.amax(1)[:, :2]


class Spread(nn.Module):
    """The deviation of the steps, not a number for a row of one step."""

    def forward(self, x: Tensor) -> Tensor:
        return x.std(1)[:, :2]


class TwoAtLeast(nn.Module):
    """Cannot take a lone row."""

    def forward(self, x: Tensor) -> Tensor:
        if x.shape[0] < 2:
            raise ValueError("two rows at least")
        return x * 2


class TimesRows(nn.Module):
    """Multiplies by the number of rows that it is given: wrong where a lone row is padded with copies of itself."""

    def forward(self, x: Tensor) -> Tensor:
        return x * x.shape[0]


class LastStep(nn.Module):
    """A recurrent network without a mask: what follows a row changes its answer."""

    def __init__(self) -> None:
        super().__init__()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            self.steps = nn.LSTM(8, 16, batch_first=True)
            self.out = nn.Linear(16, 2)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.out(self.steps(x)[0][:, -1])
        return y


class OneLength(nn.Module):
    """Takes rows of eight steps and no others, whatever its config says."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(8, 1)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.layer(x)
        return y


class NotANumber(nn.Module):
    """Has weights that a training run has lost; one of its outputs does not depend on them."""

    def __init__(self) -> None:
        super().__init__()
        self.slope = nn.Parameter(torch.full((4,), float("nan")))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return x.clone(), x * self.slope


class Root(nn.Module):
    """The square root, which negative numbers do not have."""

    def forward(self, x: Tensor) -> Tensor:
        return x.sqrt()


class Doubled(nn.Module):
    """Weights of float64."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(4, 4).double()

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.layer(x)
        return y


class Mixed(Doubled):
    """Weights of float64 and of float32, with its own casts between them."""

    def __init__(self) -> None:
        super().__init__()
        self.last = nn.Linear(4, 4)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.last(self.layer(x.double()).float())
        return y


class Single(nn.Module):
    """Returns float32, whatever comes in."""

    def forward(self, x: Tensor) -> Tensor:
        return x.float()


class Wide(nn.Module):
    """Returns integers of 64 bits."""

    def forward(self, x: Tensor) -> Tensor:
        return x.long()


class Scalar(nn.Module):
    """Returns one number for all rows."""

    def forward(self, x: Tensor) -> Tensor:
        return x.mean()


class Bill(nn.Module):
    """Tells its three inputs apart."""

    def forward(self, price: Tensor, quantity: Tensor, discount: Tensor) -> Tensor:
        return price * 100 + quantity * 10 + discount


class KeywordBill(nn.Module):
    """As Bill, with one input that has no position and one that may be left out."""

    def forward(self, price: Tensor, tax: Tensor | None = None, *, quantity: Tensor, discount: Tensor) -> Tensor:
        found = price * 100 + quantity * 10 + discount
        return found if tax is None else found + tax


class OptionalBill(nn.Module):
    """As Bill, with one input before the last two that may be left out."""

    def forward(
        self, price: Tensor, tax: Tensor | None = None, quantity: Tensor | None = None, discount: Tensor | None = None
    ) -> Tensor:
        assert quantity is not None
        assert discount is not None
        found = price * 100 + quantity * 10 + discount
        return found if tax is None else found + tax


class OpenBill(nn.Module):
    """As Bill, through keywords that it does not name."""

    def forward(self, **values: Tensor) -> Tensor:
        return values["price"] * 100 + values["quantity"] * 10 + values["discount"]


def reversed_bill() -> Callable[[Rows], dict[str, Array]]:
    """Return the inputs of Bill in another order than its forward has, as a tokenizer may."""
    return lambda rows: {"discount": rows["all"][:, 2], "quantity": rows["all"][:, 1], "price": rows["all"][:, 0]}


def int8() -> nn.Module:
    """Scales its activations by the batch."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        layers = nn.Sequential(nn.Linear(64, 128), nn.ReLU(), nn.Linear(128, 10)).eval()
    found: nn.Module = torch.ao.quantization.quantize_dynamic(layers, {nn.Linear}, dtype=torch.qint8)  # type: ignore[no-untyped-call]
    return found


class Casts(nn.Module):
    """Computes in float32 whatever its precision is, as a network of pictures does."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(4, 4)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.layer(x.float())
        return y


class CoarseBetween(nn.Module):
    """Is wrong in bf16 at lengths that are no multiple of four."""

    def forward(self, x: Tensor) -> Tensor:
        return x * 2 if x.dtype == torch.bfloat16 and x.shape[1] % 4 else x


def wrong_between(module: nn.Module, _: tuple[Tensor, ...]) -> Callable[[Tensor], Tensor]:
    """A backend whose forward is right at lengths that are a multiple of four."""
    return lambda x: module(x) * (2 if x.shape[1] % 4 else 1)


def wrong_in_all(module: nn.Module, _: tuple[Tensor, ...]) -> Callable[[Tensor], Tensor]:
    """A backend whose forward answers otherwise than the network."""
    return lambda x: module(x) * 2


def counts_zeros(module: nn.Module, _: tuple[Tensor, ...]) -> Callable[[Tensor], Tensor]:
    """A backend whose forward adds the zeros of a row to its answer, of which only padding has some."""
    return lambda x: module(x) + (x == 0).sum(1, keepdim=True)
