"""Every network, and what is to come of it: served as it is, or refused with words that name the way out."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from . import requests
from .requests import Draw

CONFIGS = Path(__file__).parent / "configs"
NETWORKS = "tests.coverage.networks"
DIMS = "needs named dimensions"
COUNTS = "needs counts"
HALVES = "needs weights in bf16 to be taken as the numbers that they are"


@dataclass(frozen=True, slots=True)
class Case:
    """A network with the YAML of its name.

    `refused` are words of the refusal; empty where it is to be served. `pending` says what it waits for. `eager` is the
    factory of the network that a file was made from.
    """

    name: str
    draw: Draw | None = None
    refused: str = ""
    pending: str = ""
    eager: str = ""

    @property
    def path(self) -> Path:
        return CONFIGS / f"{self.name}.yaml"

    @property
    def args(self) -> dict[str, Any]:
        found: dict[str, Any] = yaml.safe_load(self.path.read_text(encoding="utf-8"))
        return found


CASES = [
    # Pictures.
    Case("cnn"),
    Case("vit"),
    Case("convnext"),
    Case("segformer"),
    Case("segformer-sizes", pending=DIMS),
    Case("unet", pending=DIMS),
    Case("unet-channels-last", pending=DIMS),
    Case("unet-padded", refused="pad: none", pending=DIMS),
    Case("segment-classes", pending=DIMS),
    Case("segment-hook", pending=DIMS),
    Case("cnn-any-size", requests.any_images, pending=DIMS),
    Case("two-open-sizes", pending=DIMS),
    Case("strides", requests.images, pending=DIMS),
    Case("jpeg-any-size", requests.jpegs_of_a_size, pending=DIMS),
    Case("jpeg-labels", requests.jpegs),
    Case("siamese"),
    Case("clip"),
    Case("clip-texts", requests.texts_and_pictures),
    Case("clip-zero-shot", requests.zero_shot, pending=DIMS),
    Case("super-resolution", pending=DIMS),
    Case("vae"),
    Case("diffusion"),
    Case("train-mode-norm", refused="batch statistics"),
    Case("dropout", refused="random: true"),
    Case("dropout-meant"),
    # Text.
    Case("bert"),
    Case("bert-token-types"),
    Case("ner", pending=DIMS),
    Case("ner-bf16", pending=DIMS),
    Case("ner-labels", pending=DIMS),
    Case("transformer-encoder"),
    Case("transformer-tokens", pending=DIMS),
    Case("bert-unmasked", refused="reads its padding"),
    Case("attention-maps", pending=DIMS),
    Case("transformer-eager", pending=DIMS),
    Case("transformer-masked", requests.hidden_ends, pending=DIMS),
    Case("question-answering", pending=DIMS),
    Case("sentence-embedding"),
    Case("token-embeddings", pending=DIMS),
    Case("bert-layer"),
    Case("gpt2", pending=DIMS),
    Case("gpt2-generate", pending=DIMS),
    Case("gpt2-generate-padded", refused="pad: none", pending=DIMS),
    Case("text-cnn", refused="pad: none", pending=DIMS),
    Case("lazy-positions"),
    Case("relative-positions", refused="reads its padding"),
    Case("cross-encoder", requests.queries, pending=DIMS),
    Case("layoutlm", requests.pages),
    Case("t5-generate"),
    Case("t5-sampling"),
    Case("t5-counted", pending=COUNTS),
    Case("seq2seq"),
    Case("bag-of-words"),
    Case("keywords", pending=COUNTS),
    # Sound.
    Case("whisper-generate"),
    Case("wav2vec2"),
    Case("wav2vec2-open", requests.speech, pending=DIMS),
    Case("wav2vec2-counted", requests.speech, pending=COUNTS),
    Case("speech-to-text", requests.recordings, pending=COUNTS),
    Case("vocoder", pending=DIMS),
    Case("text-to-speech", pending=COUNTS),
    Case("speech-commands", requests.mel, pending=DIMS),
    Case("phonemes", pending=DIMS),
    Case("text-beside-audio", pending=DIMS),
    # Tables.
    Case("dlrm"),
    Case("dlrm-two-bags", pending=DIMS),
    Case("churn"),
    Case("ranking", pending=DIMS),
    Case("forecaster"),
    Case("as-dict"),
    Case("as-dataclass"),
    Case("with-none"),
    Case("features-in-a-dict", refused="list one input for each parameter"),
    Case("in-place"),
    Case("with-numpy"),
    Case("list-of-floats"),
    Case("spectrum", refused="view_as_real"),
    Case("mixture-of-experts"),
    Case("retrieval"),
    Case("data-parallel"),
    Case("ensemble"),
    Case("int8", refused="batch_tolerance"),
    Case("int8-meant"),
    Case("bf16"),
    Case("bf16-weights", pending=HALVES),
    Case("fp16-weights", pending=HALVES),
    # Files.
    Case("exported-program", eager=f"{NETWORKS}.tabular:Regression"),
    Case("exported-open", eager=f"{NETWORKS}.vision:PerPixel", pending=DIMS),
    Case("torchscript-scripted", eager=f"{NETWORKS}.tabular:Branches"),
    Case("torchscript-traced", eager=f"{NETWORKS}.vision:Cnn"),
    # Sequences.
    Case("lstm-loop", requests.steps, pending=DIMS),
    Case("lstm-packed", requests.steps),
    Case("lstm-tagger", requests.steps, refused="correct outputs in the config", pending=DIMS),
    Case("lstm-unmasked", refused="reads its padding"),
    Case("lstm-unpadded", pending=DIMS),
    Case("rnn-state"),
    # Boxes.
    Case("detr"),
    Case("detector-nms"),
    Case("detector-counted", pending=COUNTS),
    Case("detector-list", pending=COUNTS),
    Case("detector-json", pending=COUNTS),
    Case("yolo"),
    # Graphs.
    Case("graph-nodes"),
    Case("graph-degrees", pending=DIMS),
    Case("graph-degrees-padded", refused="reads its padding", pending=DIMS),
    Case("molecules", pending=DIMS),
]
