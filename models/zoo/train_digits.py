"""Trains the digits model on scikit-learn's bundled digits and writes its weights and model card.

    python -m models.zoo.train_digits

Takes about a minute on two cores. Half of what the network sees are digits drawn large, bent a little and read back
as an uploaded image would be, so that /predict is as good as the raw pixels.
"""

import hashlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageFilter
from safetensors.torch import save_file
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import Tensor, nn

from .digits import Digits
from .digits_image import Array, frame

SEED = 0
WEIGHTS = Path(__file__).with_name("digits.safetensors")
CARD = Path(__file__).with_name("digits.md")

_DRAWINGS = 10
_EPOCHS = 16
_ROWS = 128


def split() -> tuple[Array, Array, Array, Array]:
    """Return train images uint8 [n, 1, 8, 8] and labels int64 [n], then the held-out fifth likewise."""
    digits = load_digits()
    images = np.rint(digits.images * (255 / 16)).astype(np.uint8)[:, None]
    labels = digits.target.astype(np.int64)
    parts = train_test_split(images, labels, test_size=0.2, stratify=labels, random_state=SEED)
    return parts[0], parts[2], parts[1], parts[3]


def train(images: Array, labels: Array) -> Digits:
    """Return the network in eval, fitted to the images and to drawings of them."""
    torch.manual_seed(SEED)
    rng = np.random.default_rng(SEED)
    drawn = np.stack([draw(image[0], rng) for _ in range(_DRAWINGS) for image in images])[:, None]
    inputs = torch.from_numpy(np.concatenate([*[images] * _DRAWINGS, drawn]))
    targets = torch.from_numpy(np.tile(labels, 2 * _DRAWINGS))
    net = Digits().train()
    steps = _EPOCHS * -(-len(inputs) // _ROWS)
    optimizer = torch.optim.AdamW(net.parameters(), weight_decay=1e-2)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=4e-3, total_steps=steps)
    for image, target in _batches(inputs, targets):
        loss = nn.functional.cross_entropy(net.logits(image), target)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        schedule.step()
    return net.eval()


def draw(image: Array, rng: np.random.Generator) -> Array:
    """Draw uint8 [8, 8] large, bent, thicker or thinner, and read it back as uint8 [8, 8]."""
    side = int(rng.integers(40, 97))
    smooth = rng.choice([Image.Resampling.NEAREST, Image.Resampling.BILINEAR, Image.Resampling.BICUBIC])
    large = Image.fromarray(image).resize((side, side), Image.Resampling(int(smooth)))
    canvas = Image.new("L", (2 * side, 2 * side))
    canvas.paste(large, (side // 2, side // 2))
    if rng.random() < 0.7:
        turn, lean, stretch = rng.normal(0, 0.07), rng.normal(0, 0.07), rng.uniform(0.8, 1.25)
        bend = np.array([[stretch, lean + turn], [-turn, 1.0]])
        shift = side - bend @ [side, side]
        canvas = canvas.transform(
            canvas.size, Image.Transform.AFFINE, (*bend[0], shift[0], *bend[1], shift[1]), Image.Resampling.BILINEAR
        )
    thickness = rng.random()
    if thickness < 0.3:
        canvas = canvas.filter(ImageFilter.MinFilter(3) if thickness < 0.15 else ImageFilter.MaxFilter(3))
    return frame(np.asarray(canvas, np.float32) / 255)


def accuracy(net: nn.Module, images: Array, labels: Array) -> float:
    """Return the share of images that the network names rightly."""
    with torch.inference_mode():
        predicted = net(torch.from_numpy(images))[1].numpy()
    return float((predicted == labels).mean())


def main() -> None:
    train_x, train_y, test_x, test_y = split()
    net = train(train_x, train_y)
    save_file(net.state_dict(), WEIGHTS)
    CARD.write_text(_card(net, len(train_y), test_x, test_y))
    print(CARD.read_text())


def _batches(inputs: Tensor, targets: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
    for _ in range(_EPOCHS):
        for rows in torch.split(torch.randperm(len(inputs)), _ROWS):
            # A shift by one column is common where a digit is narrow; rows are always filled, so they stay.
            columns = int(torch.randint(-1, 2, ()))
            yield torch.roll(inputs[rows], columns, dims=3) if columns else inputs[rows], targets[rows]


def _card(net: nn.Module, trained: int, test_x: Array, test_y: Array) -> str:
    right = accuracy(net, test_x, test_y)
    parameters = sum(parameter.numel() for parameter in net.parameters())
    return f"""# digits

A handwritten digit, 8 x 8, to its name. Written by `python -m models.zoo.train_digits`; do not edit.

| | |
|---|---|
| Network | `models/zoo/digits.py`, {parameters:,} parameters |
| Data | scikit-learn's `load_digits`, 1,797 images: the test part of Optical Recognition of Handwritten Digits |
| Source | E. Alpaydin, C. Kaynak 1998, https://archive.ics.uci.edu/dataset/80 (its terms apply), as in scikit-learn |
| Split | stratified, seed {SEED}: {trained} to train, {len(test_y)} held out |
| Accuracy | {right:.4f} on the held-out part ({round(right * len(test_y))} of {len(test_y)}) |
| Input | uint8 0-255: the data set's 0-16 times 255/16, rounded |
| Training | seed {SEED}, {_EPOCHS} epochs, AdamW; the images beside drawings of them, read back by `digits_image.py` |
| Weights | `digits.safetensors`, sha256 `{hashlib.sha256(WEIGHTS.read_bytes()).hexdigest()}` |

The split is by image: the same 13 people wrote both parts, so expect less on a stranger's hand. Read nothing into
the probability of anything that is not a digit.
"""


if __name__ == "__main__":
    main()
