"""Networks that return what networks return: tuples in tuples, names, None, lists with an entry a row."""

from dataclasses import dataclass, field
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn


class Base(nn.Module):
    """Makes three features of four numbers."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.layer = nn.Linear(4, 3)


class Bare(Base):
    def forward(self, x: Tensor) -> Any:
        return self.layer(x)


class Pair(Base):
    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        y = self.layer(x)
        return y, -y


class Names(Base):
    def forward(self, x: Tensor) -> dict[str, Tensor]:
        y = self.layer(x)
        return {"z": -y, "y": y}


class WithNone(Base):
    def forward(self, x: Tensor) -> Any:
        return self.layer(x), None


class NoneFirst(Base):
    def forward(self, x: Tensor) -> Any:
        return None, (self.layer(x), None)


class Yolo(Base):
    def forward(self, x: Tensor) -> tuple[Tensor, list[Tensor]]:
        y = self.layer(x)
        return y, [2 * y, -y]


class Recurrent(nn.Module):
    """Returns its last states beside its steps, as nn.LSTM does: the states have no rows first."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.lstm = nn.LSTM(4, 3, batch_first=True)

    def forward(self, x: Tensor) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        steps, (h, c) = self.lstm(x.unsqueeze(1))
        return steps[:, 0], (h[0], c[0])


@dataclass
class Out:
    y: Tensor
    loss: Any = None
    more: Any = field(default_factory=dict)


class Data(Base):
    def forward(self, x: Tensor) -> Out:
        y = self.layer(x)
        return Out(y, more={"z": [y, -y]})


class Named(NamedTuple):
    z: Tensor
    y: Tensor
    loss: Tensor | None = None


class Tuple(Base):
    def forward(self, x: Tensor) -> Named:
        y = self.layer(x)
        return Named(-y, y)


class Deep(Base):
    def forward(self, x: Tensor) -> Any:
        y = self.layer(x)
        return {"loss": None, "head": {"y": y, "aux": (y, None, -y)}, 3: {"0": y}}


class Pointed(Base):
    def forward(self, x: Tensor) -> Any:
        y = self.layer(x)
        return {"a.b": y, "a": {"b": 0 * y, "c": -y}, "d.e": [2 * y]}


class Held:
    """Says nothing of its attributes."""

    def __init__(self, y: Tensor) -> None:
        self.y = y


class Plain(Base):
    def forward(self, x: Tensor) -> Any:
        return Held(self.layer(x))


class Exits:
    @property
    def y(self) -> Tensor:
        raise SystemExit(3)


class Ends(Base):
    def forward(self, _: Tensor) -> Any:
        return Exits()


class Later(Base):
    """Ends the process in an attribute, but not at first."""

    def forward(self, x: Tensor) -> Any:
        return Exits() if bool((x == 77).any()) else Held(self.layer(x))


class Numbers(Base):
    """Gives a list of numbers and a list of tensors, with one for each row."""

    def forward(self, x: Tensor) -> Any:
        y = self.layer(x)
        return {"n": [float(row[0]) for row in y], "y": list(y)}


class OneARow(Base):
    def forward(self, x: Tensor) -> Any:
        return [row.sum() for row in self.layer(x)]


class Scalar(Base):
    def forward(self, x: Tensor) -> dict[str, Tensor]:
        y = self.layer(x)
        return {"y": y, "t": y.mean() * 0 + 0.5}


class Number(Base):
    def forward(self, x: Tensor) -> Any:
        return {"y": self.layer(x), "t": 0.5}


class Grows(Base):
    """Returns one value more for an input that no start draws, and the wanted one then comes second."""

    def forward(self, x: Tensor) -> Any:
        y = self.layer(x)
        return (y - y, y, None) if bool((x == 77).any()) else (y, None)


class Lengthens(Base):
    """As Grows, for TorchScript: in a list, whose length it does not fix."""

    def forward(self, x: Tensor) -> list[Tensor]:
        y = self.layer(x)
        return [y - y, y, y] if bool((x == 77).any()) else [y, -y]


class Vanishes(Base):
    def forward(self, x: Tensor) -> Any:
        y = self.layer(x)
        return {"head": None if bool((x == 77).any()) else {"y": y}}


class Mixed(Base):
    def forward(self, x: Tensor) -> Any:
        y = self.layer(x)
        return y, {"aux": -y, "y": 2 * y}


class Script(Base):
    """Loops on its data, so that only TorchScript keeps it whole."""

    def forward(self, x: Tensor) -> tuple[Tensor, tuple[Tensor, list[Tensor]]]:
        y = self.layer(x)
        for row in range(x.shape[0]):
            if bool(x[row].sum() > 0):
                y[row] = -y[row]
        return y, (2 * y, [y])


def bert() -> nn.Module:
    """A transformers network of random weights, which returns a ModelOutput with tuples in it."""
    from transformers import BertConfig, BertForSequenceClassification

    torch.manual_seed(0)
    small = BertConfig(vocab_size=20, hidden_size=8, num_hidden_layers=2, num_attention_heads=2, intermediate_size=16)
    small.update({"num_labels": 3, "output_hidden_states": True})
    return BertForSequenceClassification(small)


def shown() -> Any:
    """Make a postprocess that answers with the names of what it gets."""
    return lambda rows: {"shown": [" ".join(rows)] * len(next(iter(rows.values())))}
