"""What TorchServe's handlers do around a model, and which of it this project can do in its place."""

import json
import shutil
from dataclasses import dataclass, field
from pathlib import Path

from configs.schema import OutputConfig, TensorConfig
from models.errors import ModelError

from . import image_hooks, mar_code
from .mar import Archive

_IMAGE = TensorConfig(name="image", datatype="FP32", shape=(-1, 3, 224, 224), low=None, high=None)
_NAMES = "index_to_name.json"
_BASES = {
    "BaseHandler": "base_handler",
    "ImageClassifier": "image_classifier",
    "VisionHandler": "base_handler",
    "ImageSegmenter": "image_segmenter",
    "ObjectDetector": "object_detector",
    "TextClassifier": "text_classifier",
}
_LOST = {
    "base_handler": ["base_handler: took nested JSON lists; clients now send tensors by /infer, or JSON with a shape"],
    "image_classifier": ["image_classifier: explanations (captum) have no counterpart"],
    "image_segmenter": [
        "image_segmenter: its answer (a class for each pixel) has no hook; /infer gives the raw output, "
        "predict.encode can be written"
    ],
    "object_detector": [
        "object_detector: its model takes a list of images and returns a list of dicts, as many boxes as it finds: "
        "wrap it in a network that takes [n, 3, h, w]; such a list is served as it is",
        "object_detector: the score threshold of 0.5 and object_type_names belong into predict.encode, by hand",
    ],
    "text_classifier": [
        "text_classifier: cleaning (tags, contractions, accents, punctuation), 2-grams and source_vocab.pt (a pickle) "
        "have no counterpart: write them as preprocess, from BYTES to token ids",
        "text_classifier: its model takes (tokens, offsets) for one text and does not batch: "
        "wrap it in a network that takes padded ids [n, length]",
    ],
}


@dataclass(slots=True)
class Handled:
    """What the handler gave: an input where none was named, hooks for /predict, outputs known from the labels."""

    inputs: tuple[TensorConfig, ...] = ()
    outputs: tuple[OutputConfig, ...] = ()
    hooks: dict[str, str] = field(default_factory=dict)
    kept: list[str] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)


def handle(archive: Archive, folder: Path, module: str, inputs: tuple[TensorConfig, ...]) -> Handled:
    """Translate the archive's handler; hooks are written into `folder`, which is importable as `module`."""
    named = str(archive.model.get("handler", ""))
    known, found = named, Handled(inputs=inputs)
    if named not in _LOST:
        known = _custom(archive, named, found)
    found.lost += _LOST.get(known, [])
    if known in ("image_classifier", "image_segmenter"):
        _vision(known, folder, module, found)
    if known == "image_classifier" and not found.outputs:
        _labels(folder, found)
    return found


def _custom(archive: Archive, named: str, found: Handled) -> str:
    file = f"{named.partition(':')[0].removesuffix('.py')}.py"
    if file not in archive.files:
        found.lost.append(
            f"handler {named}: is none of TorchServe's that are known here, and its code is not in the archive"
        )
        return ""
    bases, defined = mar_code.overridden(archive.folder / file)
    known = next((_BASES[base] for base in bases if base in _BASES), "")
    what = ", ".join(defined) or "functions of its own"
    found.lost.append(
        f"handler {file}: its own code ({what}) is not run: what comes before the model belongs into preprocess or "
        "predict.decode, what comes after it into postprocess or predict.encode"
    )
    # What a subclass changed is not known to be what its base did.
    touched = {"preprocess", "image_processing", "postprocess", "handle", "inference", "initialize", "topk"} & set(
        defined
    )
    return "" if touched else known


def _vision(known: str, folder: Path, module: str, found: Handled) -> None:
    found.inputs = found.inputs or (_IMAGE,)
    first = found.inputs[0]
    if len(found.inputs) > 1 or (first.datatype, first.shape) != (_IMAGE.datatype, _IMAGE.shape):
        found.lost.append(f"{known}: its image reading makes FP32 [n, 3, 224, 224], not --input: write predict.decode")
        return
    shutil.copyfile(image_hooks.__file__, folder / "image_hooks.py")
    found.hooks["decode"] = f"{module}.image_hooks:read_image"
    found.kept.append(
        "image reading (256, middle 224, ImageNet's mean and std) -> predict.decode; /infer takes the tensor"
    )
    if known == "image_classifier":
        found.hooks["encode"] = f"{module}.image_hooks:answer"
        found.kept.append("softmax, five best, names from index_to_name.json -> predict.encode")


def _labels(folder: Path, found: Handled) -> None:
    path = folder / _NAMES
    if not path.is_file():
        return
    try:
        count = len(json.loads(path.read_text(encoding="utf-8")))
    except ValueError as error:
        raise ModelError(f"{_NAMES}: is not JSON\nhelp: correct it in the archive") from error
    found.outputs = (OutputConfig(name="scores", datatype="FP32", shape=(-1, count)),)
    found.kept.append(f"{_NAMES}: {count} names -> one output, scores [n, {count}]")
