"""Digits: its accuracy, and its /predict hooks: any picture of a digit in, a readable answer out."""

import hashlib
import io
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageOps
from torch import nn

from models.sources.source import state_dict
from models.zoo.digits import Digits
from models.zoo.digits_image import answer, read_image
from models.zoo.train_digits import CARD, WEIGHTS, accuracy, split

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples"


@pytest.fixture(scope="module")
def digits() -> nn.Module:
    net = Digits()
    net.load_state_dict(state_dict(WEIGHTS, "digits.safetensors"))
    return net.eval().requires_grad_(False)


def _encode(image: Image.Image, kind: str = "PNG") -> bytes:
    body = io.BytesIO()
    image.save(body, kind)
    return body.getvalue()


def _seven() -> Image.Image:
    return Image.open(EXAMPLES / "seven.png")


def _ask(net: nn.Module, body: bytes) -> dict[str, object]:
    probabilities, label = net(torch.from_numpy(read_image(body)))
    return answer({"probabilities": probabilities[0].numpy(), "label": label[0].numpy()})


def test_digits_are_right_on_data_that_training_never_saw(digits: nn.Module) -> None:
    train_x, train_y, test_x, test_y = split()
    assert train_x.dtype == np.uint8
    assert train_y.dtype == np.int64
    assert test_x.shape == (360, 1, 8, 8)
    assert accuracy(digits, test_x, test_y) >= 0.985


def test_the_card_names_these_very_weights() -> None:
    assert hashlib.sha256(WEIGHTS.read_bytes()).hexdigest() in CARD.read_text()


def test_digits_answer_probabilities_and_the_likeliest_label(digits: nn.Module) -> None:
    probabilities, label = digits(torch.from_numpy(split()[2][:5]))
    assert (probabilities.dtype, label.dtype, tuple(label.shape)) == (torch.float32, torch.int64, (5,))
    torch.testing.assert_close(probabilities.sum(1), torch.ones(5))
    assert torch.equal(probabilities.argmax(1), label)


def test_digits_run_in_bfloat16_and_still_answer_in_float32() -> None:
    net = Digits()
    net.load_state_dict(state_dict(WEIGHTS, "digits.safetensors"))
    net = net.eval().to(torch.bfloat16)
    assert net(torch.from_numpy(split()[2][:2]))[0].dtype == torch.float32
    _, _, test_x, test_y = split()
    assert accuracy(net, test_x, test_y) >= 0.98


@pytest.mark.parametrize("name, label", [("seven.png", 7), ("three-inverted.png", 3)])
def test_the_examples_are_read_with_confidence(digits: nn.Module, name: str, label: int) -> None:
    found = _ask(digits, (EXAMPLES / name).read_bytes())
    assert found["label"] == label
    assert isinstance(found["probability"], float)
    assert found["probability"] > 0.9


@pytest.mark.parametrize("side", [64, 400])
@pytest.mark.parametrize("inverted", [False, True])
@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
def test_held_out_digits_survive_being_pictures(digits: nn.Module, side: int, inverted: bool, kind: str) -> None:
    _, _, images, labels = split()
    rows = []
    for image in images[::4, 0]:
        large = Image.fromarray(image).resize((side, side), Image.Resampling.BICUBIC)
        rows.append(read_image(_encode(large if inverted else ImageOps.invert(large), kind)))
    found = digits(torch.from_numpy(np.concatenate(rows)))[1].numpy()
    assert (found == labels[::4]).mean() >= 0.95


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "I;16", "CMYK"])
def test_every_mode_shows_the_same_digit(digits: nn.Module, mode: str) -> None:
    if mode == "I;16":
        image = Image.fromarray(np.asarray(_seven().convert("L")).astype(np.uint16) * 257)
    else:
        image = _seven().convert(mode)
    body = _encode(image, "JPEG" if mode == "CMYK" else "PNG")
    assert _ask(digits, body)["label"] == 7


def test_ink_on_transparency_is_ink_on_white(digits: nn.Module) -> None:
    ink = Image.new("RGBA", _seven().size, (0, 0, 0, 255))
    ink.putalpha(ImageOps.invert(_seven().convert("L")))
    assert _ask(digits, _encode(ink))["label"] == 7


@pytest.mark.parametrize("size", [(24, 24), (900, 300), (300, 1200)])
def test_a_digit_may_lie_anywhere_in_an_image_of_any_shape(digits: nn.Module, size: tuple[int, int]) -> None:
    canvas = Image.new("RGB", size, (250, 248, 242))
    side = min(size) * 3 // 4
    canvas.paste(_seven().resize((side, side)), (size[0] - side, size[1] - side))
    assert _ask(digits, _encode(canvas))["label"] == 7


def test_faint_ink_is_stretched_to_full_contrast() -> None:
    faint = _seven().convert("L").point([200 + value // 5 for value in range(256)])
    found = read_image(_encode(faint))
    assert (found.shape, found.dtype, found.max()) == ((1, 1, 8, 8), np.dtype(np.uint8), 255)


@pytest.mark.parametrize("colour", ["white", "black", "grey"])
def test_a_blank_image_is_refused(colour: str) -> None:
    with pytest.raises(ValueError, match="the image is blank: draw one digit"):
        read_image(_encode(Image.new("RGB", (50, 40), colour)))


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"seven",
        _encode(Image.new("L", (9, 9)), "GIF"),
        (EXAMPLES / "seven.png").read_bytes()[:900],
        _encode(Image.new("RGB", (64, 64)), "JPEG")[:300],
    ],
    ids=["empty", "text", "gif", "half a png", "half a jpeg"],
)
def test_what_is_not_a_whole_png_or_jpeg_is_refused(body: bytes) -> None:
    with pytest.raises(ValueError, match="not a readable image: send the bytes of a whole PNG or JPEG"):
        read_image(body)


def test_a_huge_image_is_refused_before_it_is_decoded() -> None:
    with pytest.raises(ValueError, match="5000 x 4000 pixels: send at most"):
        read_image(_encode(Image.new("1", (5000, 4000))))


def test_an_answer_is_plain_and_rounded() -> None:
    probabilities = np.array([0.00004, 0.99996], np.float32)
    assert answer({"probabilities": probabilities, "label": np.array(1)}) == {"label": 1, "probability": 1.0}


def test_the_hooks_need_no_torch() -> None:
    code = "import sys, models.zoo.digits_image; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0
