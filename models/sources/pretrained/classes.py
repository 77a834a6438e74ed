"""Scores of classes, as transformers' own pipelines make them of logits: softmax, sigmoid, or the logits themselves."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from ...signature import Array, Rows

Labels = Mapping[int, str]


def class_scores(found: Any) -> Callable[[Rows], dict[str, Array]]:
    """Return what turns {"logits": [n, labels]} into label, score and scores, by a model's configuration."""
    labels = [found.id2label[number].encode() for number in range(len(found.id2label))]
    score = _way(found)

    def classify(rows: Rows) -> dict[str, Array]:
        scores = score(rows["logits"].astype(np.float32))
        best = scores.argmax(1)
        label = np.empty(len(best), object)
        label[:] = [labels[each] for each in best]
        return {"label": label, "score": scores.max(1), "scores": scores}

    return classify


def softmax(logits: Array) -> Array:
    """Return the softmax over the last axis, FP32."""
    raised = np.exp(logits - logits.max(-1, keepdims=True))
    return raised / raised.sum(-1, keepdims=True)  # type: ignore[no-any-return]


def _way(found: Any) -> Callable[[Array], Array]:
    if found.problem_type == "regression":
        return lambda logits: logits
    if found.problem_type == "multi_label_classification" or len(found.id2label) == 1:
        return lambda logits: np.asarray(1 / (1 + np.exp(-logits)), np.float32)
    return softmax
