"""The hooks of speech recognition: a WAV becomes samples, and the frames' best letters become text (CTC)."""

import io
import struct
import wave
from collections.abc import Sequence
from typing import Any

import numpy as np

from configs.schema import ModelConfig

from ...errors import ModelError
from ...signature import Array, Rows
from ..hooks import Hook
from .completion import sampling_rate
from .directory import Directory
from .library import configuration, part

_SEND = "send 16-bit PCM"


def speech_hooks(directory: Directory, _config: ModelConfig) -> tuple[Hook, Hook | None]:
    """Return what reads WAVs, and what spells."""
    extractor = part(directory, "AutoFeatureExtractor", "feature extractor", "preprocessor_config.json")
    tokenizer = part(directory, "AutoTokenizer", "tokenizer", "tokenizer_config.json")
    if extractor.model_input_names[0] != "input_values":
        raise ModelError(
            f"{directory.location}: its network takes {extractor.model_input_names[0]}, and only those that take the "
            "samples themselves are known here, such as wav2vec2, hubert and wavlm\n"
            "help: name a factory and hooks of yours"
        )
    rate, least = sampling_rate(directory), fewest_samples(configuration(directory, "automatic-speech-recognition"))

    def listen(rows: Rows) -> dict[str, Array]:
        # One by one: what an extractor does to a row must not depend on how long the others are.
        heard = [
            _samples(extractor, _read(body, row, rate, least), rate) for row, body in enumerate(rows["audio"].ravel())
        ]
        longest = max(len(each) for each in heard)
        values = np.zeros((len(heard), longest), np.float32)
        mask = np.zeros((len(heard), longest), np.int64)
        for row, samples in enumerate(heard):
            values[row, : len(samples)], mask[row, : len(samples)] = samples, 1
        return {"input_values": values, "attention_mask": mask}

    def spell(rows: Rows) -> dict[str, Array]:
        ids, texts = rows["logits"].argmax(-1), np.empty(len(rows["logits"]), object)
        for row, frames in enumerate(rows["frames"]):
            texts[row] = tokenizer.decode(ids[row, : max(0, int(frames))]).encode()
        return {"text": texts}

    return Hook(listen, False), Hook(spell, False)


def as_wav(samples: Array, rate: int) -> bytes:
    """Return samples of -1 to 1 as the WAV that `listen` takes."""
    file = io.BytesIO()
    with wave.open(file, "wb") as written:
        written.setnchannels(1)
        written.setsampwidth(2)
        written.setframerate(rate)
        written.writeframes((samples * 32767).astype("<i2").tobytes())
    return file.getvalue()


def fewest_samples(found: Any) -> int:
    """Return the fewest samples of which the network's convolutions make a frame."""
    least = 1
    for kernel, stride in zip(reversed(found.conv_kernel), reversed(found.conv_stride), strict=True):
        least = (least - 1) * stride + kernel
    return least


def _read(body: bytes, row: int, rate: int, least: int) -> Array:
    try:
        with wave.open(io.BytesIO(body)) as file:
            channels, width, own = file.getnchannels(), file.getsampwidth(), file.getframerate()
            frames = file.readframes(file.getnframes())
    except (wave.Error, EOFError, ValueError, RuntimeError, ArithmeticError, struct.error) as error:
        raise ValueError(f"audio {row} is no WAV that can be read ({error}): {_SEND}, uncompressed") from error
    if own != rate:
        raise ValueError(f"audio {row} has {own} samples a second, this model takes {rate}: resample it first")
    if width != 2 or channels != 1:
        raise ValueError(f"audio {row} has {channels} channels of {8 * width} bits: {_SEND}, one channel")
    if len(frames) < 2 * least:
        raise ValueError(f"audio {row} has {len(frames) // 2} samples, this model takes at least {least}: send more")
    return np.frombuffer(frames[: len(frames) // 2 * 2], "<i2").astype(np.float32) / 32768


def _samples(extractor: Any, samples: Array, rate: int) -> Sequence[float]:
    found: Sequence[float] = extractor(samples, sampling_rate=rate, return_tensors="np")["input_values"][0]
    return found
