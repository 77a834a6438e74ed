"""Networks as their users write them, for `pitstop init`: nothing says what they take."""

import torch
from torch import Tensor, nn
from torch.nn import functional


class Mlp(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(12, 3)

    def forward(self, features: Tensor) -> Tensor:
        return self.layer(features)  # type: ignore[no-any-return]


class Seeded(Mlp):
    """Has the same weights each time, as one that reads them from a file."""

    def __init__(self) -> None:
        super().__init__()
        nn.init.ones_(self.layer.weight)
        nn.init.zeros_(self.layer.bias)


class Stateful(Mlp):
    """Has a state that safetensors cannot hold."""

    def get_extra_state(self) -> dict[str, int]:
        return {"steps": 1}

    def set_extra_state(self, state: object) -> None:
        pass


class Unsaved(Mlp):
    """Draws numbers that no state_dict has: a buffer, and plain attributes."""

    def __init__(self, kind: str = "buffer") -> None:
        super().__init__()
        if kind == "buffer":
            self.register_buffer("shift", torch.randn(3), persistent=False)
        elif kind == "tensor":
            self.shift = torch.randn(3)
        else:
            self.shift = float(torch.randn(()))  # type: ignore[assignment]

    def forward(self, features: Tensor) -> Tensor:
        return super().forward(features) + self.shift


class Lazy(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.LazyLinear(2)

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(x)  # type: ignore[no-any-return]


class Two(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.left, self.right = nn.Linear(4, 2), nn.Linear(6, 2)

    def forward(self, left: Tensor, right: Tensor) -> dict[str, Tensor]:
        return {"both": self.left(left) + self.right(right)}


class Recurrent(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.body, self.head = nn.LSTM(6, 8, batch_first=True), nn.Linear(8, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.body(x)[0].mean(1))  # type: ignore[no-any-return]


class Words(nn.Module):
    def __init__(self, positions: int = 40) -> None:
        super().__init__()
        self.embed, self.place = nn.Embedding(50, 8, padding_idx=0), nn.Embedding(positions, 8)
        self.head = nn.Linear(8, 2)

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        words = self.embed(input_ids) + self.place(torch.arange(input_ids.shape[1]))
        kept = attention_mask.unsqueeze(-1)
        return self.head((words * kept).sum(1) / kept.sum(1))  # type: ignore[no-any-return]


class Cnn(nn.Module):
    def __init__(self, num_classes: int) -> None:
        super().__init__()
        self.body, self.head = nn.Conv2d(3, 4, 3), nn.Linear(4 * 15 * 15, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(functional.max_pool2d(self.body(x), 2).flatten(1))  # type: ignore[no-any-return]


class Vit(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, 8, 8, stride=8)
        self.place = nn.Parameter(torch.zeros(1, 16, 8))
        self.layer, self.head = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True), nn.Linear(8, 5)

    def forward(self, image: Tensor) -> Tensor:
        patches = self.patches(image.float() / 255).flatten(2).transpose(1, 2) + self.place
        return self.head(self.layer(patches).mean(1))  # type: ignore[no-any-return]


class ChannelsLast(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Conv2d(3, 4, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.body(x.permute(0, 3, 1, 2)).mean((2, 3))  # type: ignore[no-any-return]


class Pairs(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.user, self.item = nn.Embedding(30, 8), nn.Embedding(40, 8)

    def forward(self, user_id: Tensor, item_id: Tensor) -> Tensor:
        return (self.user(user_id) * self.item(item_id)).sum(-1)  # type: ignore[no-any-return]


class Bag(nn.Module):
    """Takes ids of any number as a whole."""

    def __init__(self) -> None:
        super().__init__()
        self.bag, self.head = nn.EmbeddingBag(60, 8, padding_idx=0), nn.Linear(8, 2)

    def forward(self, clicked: Tensor) -> Tensor:
        return self.head(self.bag(clicked))  # type: ignore[no-any-return]


class Changed(nn.Module):
    """Brings the ids of a request to those of its embedding: any number may come."""

    def __init__(self, how: str) -> None:
        super().__init__()
        self.how, self.embed = how, nn.Embedding(50, 8)

    def forward(self, ids: Tensor) -> Tensor:
        changed = ids % 50 if self.how == "hashed" else ids.clamp(0, 49)
        return self.embed(changed).mean(1)  # type: ignore[no-any-return]


class Functional(nn.Module):
    """Has an embedding without a layer of torch's, and a smaller one behind it."""

    def __init__(self) -> None:
        super().__init__()
        self.table, self.second = nn.Parameter(torch.randn(50, 8)), nn.Embedding(20, 8)

    def forward(self, ids: Tensor) -> Tensor:
        return (functional.embedding(ids.long(), self.table) + self.second(ids.long())).mean(1)  # type: ignore[no-any-return]


class Together(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(10, 2)

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        return self.layer(torch.cat([a, b], 1))  # type: ignore[no-any-return]


class Heads(nn.Module):
    """Its weights are the same for any number of heads."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.layer = nn.MultiheadAttention(width, heads, batch_first=True)

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(x, x, x)[0]  # type: ignore[no-any-return]
