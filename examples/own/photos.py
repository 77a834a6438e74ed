"""A classifier of pictures: 64 by 64 pixels in, one of three names out."""

import torch
from torch import nn

NAMES = ["cat", "dog", "horse"]


class Photos(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(3, 16, 3, stride=2, padding=1), nn.ReLU(), nn.Conv2d(16, 32, 3, stride=2, padding=1), nn.ReLU()
        )
        self.head = nn.Linear(32, len(NAMES))

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return self.head(self.layers(image.float() / 255).mean((2, 3))).softmax(1)


def names():
    def run(rows):
        [scores] = rows.values()
        return {"name": [NAMES[best] for best in scores.argmax(1)], "score": scores.max(1)}

    return run


if __name__ == "__main__":  # In place of your training.
    torch.manual_seed(0)
    torch.save(Photos().state_dict(), "photos.pth")
