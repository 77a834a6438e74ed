"""Every network, and what is to come of it: served as it is, or refused with words that name the way out."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from . import requests
from .requests import Draw

CONFIGS = Path(__file__).parent / "configs"
NETWORKS = "tests.coverage.networks"


@dataclass(frozen=True, slots=True)
class Case:
    """A network with the YAML of its name.

    `refused` are words of the refusal; empty where it is to be served. `eager` is the factory of the network that a
    file was made from.
    """

    name: str
    draw: Draw | None = None
    refused: str = ""
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
    Case("segformer-sizes"),
    Case("unet"),
    Case("unet-channels-last"),
    Case("unet-padded", refused="pad: none"),
    Case("segment-classes"),
    Case("segment-hook"),
    Case("cnn-any-size", requests.any_images),
    Case("two-open-sizes"),
    Case("strides", requests.images),
    Case("jpeg-any-size", requests.jpegs_of_a_size),
    Case("jpeg-labels", requests.jpegs),
    Case("siamese"),
    Case("clip"),
    Case("clip-texts", requests.texts_and_pictures),
    Case("clip-zero-shot", requests.zero_shot),
    Case("super-resolution"),
    Case("vae"),
    Case("diffusion"),
    Case("train-mode-norm", refused="fix the model"),
    Case("dropout", refused="random: true"),
    Case("dropout-meant"),
    # Text.
    Case("bert"),
    Case("bert-token-types"),
    Case("ner"),
    Case("ner-bf16"),
    Case("ner-labels"),
    Case("transformer-encoder"),
    Case("transformer-tokens"),
    Case("bert-unmasked", refused="pad: none"),
    Case("attention-maps"),
    Case("transformer-eager"),
    Case("transformer-masked", requests.hidden_ends),
    Case("question-answering"),
    Case("sentence-embedding"),
    Case("token-embeddings"),
    Case("bert-layer"),
    Case("gpt2"),
    Case("gpt2-generate"),
    Case("gpt2-generate-padded", refused="pad: none"),
    Case("text-cnn", refused="pad: none"),
    Case("lazy-positions"),
    Case("relative-positions", refused="pad: none"),
    Case("cross-encoder", requests.queries),
    Case("layoutlm", requests.pages),
    Case("t5-generate"),
    Case("t5-sampling"),
    Case("t5-counted"),
    Case("seq2seq"),
    Case("bag-of-words"),
    Case("keywords"),
    # Sound.
    Case("whisper-generate"),
    Case("wav2vec2"),
    Case("wav2vec2-open", requests.speech),
    Case("wav2vec2-counted", requests.speech),
    Case("speech-to-text", requests.recordings),
    Case("vocoder"),
    Case("text-to-speech"),
    Case("speech-commands", requests.mel),
    Case("phonemes"),
    Case("text-beside-audio"),
    # Tables.
    Case("dlrm"),
    Case("dlrm-two-bags"),
    Case("churn"),
    Case("ranking"),
    Case("forecaster"),
    Case("as-dict"),
    Case("as-dataclass"),
    Case("with-none"),
    Case("features-in-a-dict", refused="a module of your own"),
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
    Case("bf16-weights"),
    Case("fp16-weights"),
    # Found where the config leaves it out.
    Case("no-outputs"),
    Case("only-an-example", requests.customers),
    Case("only-a-program", requests.eight, eager=f"{NETWORKS}.tabular:Regression"),
    # Files.
    Case("exported-program", eager=f"{NETWORKS}.tabular:Regression"),
    Case("exported-open", eager=f"{NETWORKS}.vision:PerPixel"),
    Case("torchscript-scripted", eager=f"{NETWORKS}.tabular:Branches"),
    Case("torchscript-traced", eager=f"{NETWORKS}.vision:Cnn"),
    # Sequences.
    Case("lstm-loop", requests.steps),
    Case("lstm-packed", requests.steps),
    Case("lstm-tagger", requests.steps, refused="total_length=x.shape[1]"),
    Case("lstm-unmasked", refused="pad: none"),
    Case("lstm-unpadded"),
    Case("rnn-state"),
    # Boxes.
    Case("detr"),
    Case("detector-nms"),
    Case("detector-counted"),
    Case("detector-list"),
    Case("detector-json"),
    Case("yolo"),
    # Graphs.
    Case("graph-nodes"),
    Case("graph-degrees"),
    Case("graph-degrees-padded", refused="pad: none"),
    Case("molecules"),
]
