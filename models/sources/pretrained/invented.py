"""Pictures and sounds for the checks of a start where the config names no example. Texts are drawn as words."""

import io

import numpy as np
from PIL import Image

from configs.schema import ModelConfig

from ...signature import Array
from .audio import as_wav, fewest_samples
from .completion import INPUTS, sampling_rate
from .directory import find
from .library import configuration

_SIDES = ((48, 64), (64, 48), (96, 96), (33, 71), (128, 80), (80, 128))
_PARTS = (1.0, 0.3, 0.7, 0.5)


def invented(config: ModelConfig) -> list[dict[str, Array]]:
    """Return rows of a completed config, each an array [1]; none for texts, which are drawn as words."""
    assert config.source.task is not None
    name, generator = INPUTS[config.source.task], np.random.default_rng(3)
    if name == "image":
        bodies = [_picture(height, width, generator) for height, width in _SIDES]
    elif name == "audio":
        directory = find(config.source)
        lengths = [size for each in config.open_dims.values() for size in each.sizes]
        rate, least = sampling_rate(directory), fewest_samples(configuration(directory, config.source.task))
        counts = [max(least, int(length * part)) for length in lengths for part in _PARTS]
        bodies = [as_wav(generator.uniform(-0.5, 0.5, count), rate) for count in counts]
    else:
        return []
    return [{name: np.array([body], object)} for body in bodies]


def _picture(height: int, width: int, generator: np.random.Generator) -> bytes:
    file = io.BytesIO()
    Image.fromarray(generator.integers(0, 256, (height, width, 3), np.uint8)).save(file, "PNG")
    return file.getvalue()
