"""Networks with open sizes, as people write them: they know nothing of how they are served."""

from typing import Any

import torch
from torch import Tensor, nn


def _seeded(*layers: nn.Module) -> None:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        for layer in layers:
            for parameter in layer.parameters():
                nn.init.normal_(parameter)


class Tagger(nn.Module):
    """A score for each token, from the token and from the mean of those that the mask keeps."""

    def __init__(self) -> None:
        super().__init__()
        self.embed, self.score = nn.Embedding(100, 8), nn.Linear(8, 3)
        _seeded(self.embed, self.score)

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        known, kept = self.embed(input_ids), attention_mask.unsqueeze(-1).float()
        mean = (known * kept).sum(1, keepdim=True) / kept.sum(1, keepdim=True).clamp(min=1)
        return self.score(known + mean)  # type: ignore[no-any-return]


class PaddedTagger(Tagger):
    """The same without a mask: it knows padding by its id, 7, as a tokenizer's pad token."""

    def forward(self, input_ids: Tensor) -> Tensor:  # type: ignore[override]
        return super().forward(input_ids, (input_ids != 7).long())


class Segments(nn.Module):
    """Half the height and the width, four classes; reads its neighbours, so padding changes the border."""

    def __init__(self) -> None:
        super().__init__()
        self.down, self.classes = nn.Conv2d(3, 4, 3, stride=2, padding=1), nn.Conv2d(4, 4, 3, padding=1)
        _seeded(self.down, self.classes)

    def forward(self, image: Tensor) -> Tensor:
        return self.classes(torch.relu(self.down(image.float() / 255)))  # type: ignore[no-any-return]


class Pixels(nn.Module):
    """Four classes of each pixel by itself: padding changes nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.classes = nn.Conv2d(3, 4, 1)
        _seeded(self.classes)

    def forward(self, image: Tensor) -> Tensor:
        return self.classes(image.float() / 255)  # type: ignore[no-any-return]


class TextAndSound(nn.Module):
    """Two inputs with dimensions of their own: one score for both, and what each frame adds to it."""

    def __init__(self) -> None:
        super().__init__()
        self.embed, self.hear = nn.Embedding(50, 6), nn.Linear(5, 6)
        _seeded(self.embed, self.hear)

    def forward(self, tokens: Tensor, sound: Tensor) -> tuple[Tensor, Tensor]:
        heard = self.hear(sound) * (sound.abs().sum(-1, keepdim=True) > 0)
        said = self.embed(tokens) * (tokens > 0).unsqueeze(-1)
        return said.sum(1) + heard.sum(1), heard


class Packed(nn.Module):
    """A recurrent network that is told how long each row is."""

    def __init__(self) -> None:
        super().__init__()
        self.cells = nn.GRU(4, 5, batch_first=True)
        _seeded(self.cells)

    def forward(self, x: Tensor, steps: Tensor) -> Tensor:
        packed = nn.utils.rnn.pack_padded_sequence(x, steps.cpu(), batch_first=True, enforce_sorted=False)
        return self.cells(packed)[1][-1]  # type: ignore[no-any-return]


class Frames(nn.Module):
    """Frames of sound without padding, and a signal that is longer than they are."""

    def __init__(self) -> None:
        super().__init__()
        self.hear, self.say = nn.Conv1d(1, 4, 10, stride=5), nn.ConvTranspose1d(4, 1, 4, stride=4)
        _seeded(self.hear, self.say)

    def forward(self, samples: Tensor) -> tuple[Tensor, Tensor]:
        frames = self.hear(samples.unsqueeze(1))
        return frames.transpose(1, 2), self.say(frames).squeeze(1)


class Boxes(nn.Module):
    """Ten candidates a row, of which those with a score above a half are found: padded tensors and a count."""

    def __init__(self) -> None:
        super().__init__()
        self.box, self.score = nn.Linear(8, 40), nn.Linear(8, 10)
        _seeded(self.box, self.score)

    def found(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        boxes, scores = self.box(x).view(-1, 10, 4), self.score(x).sigmoid()
        order = torch.argsort((scores <= 0.5).int(), dim=1, stable=True)
        ordered = torch.gather(boxes, 1, order.unsqueeze(-1).expand_as(boxes))
        return ordered, torch.gather(scores, 1, order), (scores > 0.5).sum(1)

    def forward(self, x: Tensor) -> Any:
        boxes, scores, count = self.found(x)
        return {"boxes": boxes, "scores": scores, "count": count}


class BoxesInOrder(Boxes):
    def forward(self, x: Tensor) -> Any:
        return self.found(x)


class WithoutCount(Boxes):
    def forward(self, x: Tensor) -> Any:
        return self.found(x)[:2]


class Miscounts(Boxes):
    """Counts more than there are, in rows that begin with a large number."""

    def forward(self, x: Tensor) -> Any:
        boxes, scores, count = self.found(x)
        return boxes, scores, torch.where(x[:, 0] > 100, 99, count)


class ListOfBoxes(Boxes):
    """The same as torchvision's detectors return it: a dict for each row."""

    def forward(self, x: Tensor) -> Any:
        rows = zip(*self.found(x), strict=True)
        return [{"boxes": boxes[:count], "scores": scores[:count]} for boxes, scores, count in rows]


class LargeNumbers(nn.Module):
    """Finds as many boxes as there are large numbers: none in noise, as a trained detector."""

    def forward(self, x: Tensor) -> Any:
        found = [row[row > 8] for row in x]
        return [{"boxes": each.unsqueeze(1).expand(-1, 4), "scores": each} for each in found]


class Positions(nn.Module):
    """Knows eight positions."""

    def __init__(self) -> None:
        super().__init__()
        self.known = nn.Embedding(8, 3)

    def forward(self, input_ids: Tensor) -> Tensor:
        places = torch.arange(input_ids.shape[1], device=input_ids.device)
        known: Tensor = self.known(places)
        return known + input_ids.unsqueeze(-1)


class Sums(nn.Module):
    """The sums of a square's rows."""

    def forward(self, x: Tensor) -> Tensor:
        return x.sum(2)


class ListOfVectors(nn.Module):
    def forward(self, x: Tensor) -> Any:
        return [{"embedding": row} for row in x]


class ListOfTensors(Boxes):
    def forward(self, x: Tensor) -> Any:
        return [boxes[:count] for boxes, _, count in zip(*self.found(x), strict=True)]


class Half(nn.Module):
    """Weights of 16 bits, which take no rows of 32."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(4, 4)
        _seeded(self.layer)
        self.bfloat16()

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(x)  # type: ignore[no-any-return]


class Speech(nn.Module):
    """Sound to letters: frames by two strides without padding, and how many of them each row has."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Conv1d(1, 4, 10, stride=5), nn.Conv1d(4, 6, 3, stride=2)
        _seeded(self.first, self.second)

    def forward(self, samples: Tensor, length: Tensor) -> Any:
        logits = self.second(torch.relu(self.first(samples.unsqueeze(1)))).transpose(1, 2)
        return {"logits": logits, "frames": ((length - 10) // 5 + 1 - 3) // 2 + 1}


class Mood(Tagger):
    """Scores of a text: the mean of those of its tokens."""

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        kept = attention_mask.unsqueeze(-1).float()
        return (super().forward(input_ids, attention_mask) * kept).sum(1) / kept.sum(1).clamp(min=1)


class Twice(nn.Module):
    """A number for each number, where there are so many that `multiple` divides them."""

    def __init__(self, multiple: int = 1) -> None:
        super().__init__()
        self.factor, self.multiple = nn.Parameter(torch.full((1,), 2.0)), multiple

    def forward(self, x: Tensor) -> Tensor:
        return x.view(len(x), -1, self.multiple).flatten(1) * self.factor


class BothPadded(nn.Module):
    """Masks its padding, but for a row that is padded in both inputs."""

    def __init__(self) -> None:
        super().__init__()
        self.factor = nn.Parameter(torch.ones(1))

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        padded = (a == 0).any(1) & (b == 0).any(1)
        return (a.sum(1) + b.sum(1) + 5 * padded) * self.factor


class Found(nn.Module):
    """Of each row the numbers above 0, and labels for them: a list with a dict a row."""

    def __init__(self, floor: float = 0.0) -> None:
        super().__init__()
        self.factor, self.floor = nn.Parameter(torch.ones(1)), floor

    def forward(self, x: Tensor) -> Any:
        return [self._of(row) for row in x]

    def _of(self, row: Tensor) -> dict[str, Tensor]:
        kept = row[row > self.floor]
        # Labels of another type where there is none, or where the first number is large.
        labels = torch.arange(len(kept)) + 300 if len(kept) else torch.tensor([])
        return {"numbers": kept * self.factor, "labels": kept.byte() if row[0] > 99 else labels}


class Sorted(nn.Module):
    """The numbers above 0, as many columns as the row with the most has; and two numbers that may count them."""

    def __init__(self) -> None:
        super().__init__()
        self.factor = nn.Parameter(torch.ones(1))

    def forward(self, x: Tensor) -> Any:
        count = (x > 0).sum(1)
        kept = torch.sort(x * self.factor, 1, descending=True)[0][:, : int(count.max())]
        return {"kind": torch.where(x[:, 0] > 99, 0, count), "kept": kept, "count": count}


class Named(nn.Module):
    """Names its output as no client could."""

    def __init__(self) -> None:
        super().__init__()
        self.factor = nn.Parameter(torch.ones(1))

    def forward(self, x: Tensor) -> Any:
        return {"a\nb": x * self.factor}


class RowSums(nn.Module):
    """A sum for each row of a matrix: padded columns change nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.factor = nn.Parameter(torch.ones(1))

    def forward(self, matrix: Tensor) -> Tensor:
        return matrix.sum(2) * self.factor


class TwoMeans(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.factor = nn.Parameter(torch.ones(1))

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        return (a.mean(1) + b.mean(1)) * self.factor
