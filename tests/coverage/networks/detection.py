"""Detectors, and what they return."""

import json

import torch
from torch import nn


def detr():
    from transformers import DetrConfig, DetrForObjectDetection, ResNetConfig

    torch.manual_seed(0)
    backbone = ResNetConfig(
        embedding_size=8, hidden_sizes=[8, 8, 8, 8], depths=[1, 1, 1, 1], layer_type="basic", out_features=["stage4"]
    )
    layers = {"encoder_layers": 1, "decoder_layers": 1, "encoder_ffn_dim": 32, "decoder_ffn_dim": 32}
    small = {"d_model": 16, "encoder_attention_heads": 2, "decoder_attention_heads": 2, "num_queries": 6, **layers}
    return DetrForObjectDetection(DetrConfig(backbone_config=backbone, num_labels=3, **small))


class Backbone(nn.Module):
    """Boxes and scores at each of 16 places of an image."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.features = nn.Sequential(nn.Conv2d(3, 16, 4, stride=4), nn.ReLU(), nn.Conv2d(16, 8, 2, stride=2))
        self.head = nn.Conv2d(8, 4 + 3, 1)
        line = torch.arange(4.0) * 8 + 4
        self.register_buffer("centres", torch.cartesian_prod(line, line).flip(1))

    def places(self, image):
        found = self.head(self.features(image.float() / 255)).flatten(2).transpose(1, 2)
        middle, size = self.centres + found[..., :2] * 4, 6 + 20 * found[..., 2:4].sigmoid()
        return torch.cat([middle - size / 2, middle + size / 2], dim=2), (found[..., 4:] * 4).softmax(dim=2)


def overlap(boxes):
    corner, other = boxes[:, None], boxes[None]
    sides = (torch.minimum(corner[..., 2:], other[..., 2:]) - torch.maximum(corner[..., :2], other[..., :2])).clamp(0)
    area, sizes = sides.prod(-1), (boxes[:, 2:] - boxes[:, :2]).prod(-1)
    return area / (sizes[:, None] + sizes[None] - area)


def nms(boxes, scores, most):
    """Greedy non-maximum suppression, as torchvision.ops.nms."""
    kept, over = [], overlap(boxes)
    for each in scores.argsort(descending=True, stable=True).tolist():
        if all(over[each, other] < most for other in kept):
            kept.append(each)
    return torch.tensor(kept, dtype=torch.long)


class PaddedDetector(Backbone):
    """At most ten boxes, filled up with zeros, and how many there are."""

    def forward(self, image):
        every, scores = self.places(image)
        boxes, best, count = [], [], []
        for row, score in zip(every, scores.max(dim=2).values, strict=True):
            kept = nms(row, score, 0.3)[:10]
            space = 10 - len(kept)
            boxes.append(nn.functional.pad(row[kept], (0, 0, 0, space)))
            best.append(nn.functional.pad(score[kept], (0, space)))
            count.append(len(kept))
        return {"boxes": torch.stack(boxes), "scores": torch.stack(best), "count": torch.tensor(count)}


class Detector(Backbone):
    """A list with a dict an image, as torchvision's."""

    def forward(self, images):
        found = []
        for boxes, scores in zip(*self.places(images), strict=True):
            score, label = scores.max(dim=1)
            kept = nms(boxes, score, 0.3)
            kept = kept[score[kept] > 0.5]
            found.append({"boxes": boxes[kept], "labels": label[kept], "scores": score[kept]})
        return found


class Yolo(Backbone):
    """Returns (predictions, [a map of each stride]), as YOLOv5 does in eval."""

    def forward(self, image):
        boxes, scores = self.places(image)
        small = self.features(image.float() / 255)
        return torch.cat([boxes, scores], dim=2), [small, nn.functional.max_pool2d(small, 2)]


def as_json():
    """Boxes as JSON, one text an image."""

    def run(rows):
        texts = []
        for boxes, labels, scores in zip(rows["boxes"], rows["labels"], rows["scores"], strict=True):
            found = scores > 0  # What there is more of in other images is filled up with zeros.
            texts.append(json.dumps([boxes[found].round(1).tolist(), labels[found].tolist()]))
        return {"json": texts}

    return run
