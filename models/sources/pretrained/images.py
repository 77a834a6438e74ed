"""The hooks of image tasks: a picture's bytes become pixels; scores of classes, or boxes, come out."""

import json
from collections.abc import Iterator, Mapping
from types import SimpleNamespace
from typing import Any

import numpy as np

from configs.schema import ModelConfig

from ...images import open_image
from ...signature import Array, Rows
from ..hooks import Hook
from .classes import class_scores
from .completion import square
from .directory import Directory
from .library import configuration, library, part
from .parameters import count, fraction

_THRESHOLD = 0.5


def picture_hooks(directory: Directory, _config: ModelConfig) -> tuple[Hook, Hook | None]:
    """Return the image processor, and the scores of the labels."""
    processor = _processor(directory)

    def see(rows: Rows) -> dict[str, Array]:
        return {"pixel_values": np.stack([_pixels(processor, each) for each in _pictures(rows)])}

    return Hook(see, False), Hook(class_scores(configuration(directory, "image-classification")), False)


def detection_hooks(directory: Directory, _config: ModelConfig) -> tuple[Hook, Hook | None]:
    """Return the image processor, and what makes boxes of what the network gives.

    `target_sizes`, the height and width of each picture as it was sent, go through the network unchanged. Where
    pictures keep the ratio of their sides, each lies in the corner of a square, and `sizes` says how large it is there.
    """
    processor = _processor(directory)
    labels, side = configuration(directory, "object-detection").id2label, square(directory)

    def see(rows: Rows, parameters: Mapping[str, Any]) -> dict[str, Array]:
        fraction(parameters, _THRESHOLD), count(parameters)
        seen = [((each.height, each.width), _pixels(processor, each)) for each in _pictures(rows)]
        pixels = [each for _, each in seen]
        found = {"target_sizes": np.array([size for size, _ in seen], np.int64)}
        if side is None:
            return {"pixel_values": np.stack(pixels), **found}
        values = np.zeros((len(pixels), pixels[0].shape[0], side, side), np.float32)
        for row, each in enumerate(pixels):
            values[row, :, : each.shape[1], : each.shape[2]] = each
        return {"pixel_values": values, **found, "sizes": np.array([each.shape[1:] for each in pixels], np.int64)}

    def boxes(rows: Rows, parameters: Mapping[str, Any]) -> dict[str, Array]:
        import torch

        logits, corners = (torch.tensor(rows[name]).float() for name in ("logits", "pred_boxes"))
        found = processor.post_process_object_detection(
            SimpleNamespace(logits=logits, pred_boxes=corners),
            threshold=fraction(parameters, _THRESHOLD),
            target_sizes=torch.tensor(rows["target_sizes"]),
        )
        texts = np.empty(len(found), object)
        texts[:] = [json.dumps(_detections(each, labels)[: count(parameters)]).encode() for each in found]
        return {"detections": texts}

    return Hook(see, True), Hook(boxes, True)


def _detections(found: Mapping[str, Any], labels: Mapping[int, str]) -> list[dict[str, Any]]:
    listed = zip(*(found[name].tolist() for name in ("labels", "scores", "boxes")), strict=True)
    named = [{"label": labels[label], "score": score, "box": box} for label, score, box in listed]
    return sorted(named, key=lambda each: -each["score"])


def _pictures(rows: Rows) -> Iterator[Any]:
    """Decode one after the other: a batch of large ones would fill the memory."""
    return (open_image(body, "RGB") for body in rows["image"].ravel())


def _pixels(processor: Any, picture: Any) -> Array:
    # Alone: some processors pad pictures to the largest beside them.
    return np.asarray(processor(images=picture, return_tensors="np")["pixel_values"][0], np.float32)


def _processor(directory: Directory) -> Any:
    # The processor of Pillow and numpy: the same pixels whether torchvision is installed or not, and no torch.
    own: dict[str, Any] = {"use_fast": False} if library().__version__ < "5" else {"backend": "pil"}
    return part(directory, "AutoImageProcessor", "image processor", "preprocessor_config.json", **own)
