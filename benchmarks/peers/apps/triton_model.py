"""The models on Triton's Python backend; the model repository's model.py imports this class."""

from typing import Any

import numpy as np
import triton_python_backend_utils as triton  # type: ignore[import-not-found]

from benchmarks import networks
from benchmarks.peers.apps import settings

_NAMES = {"mlp": ("x", "y"), "resnet50": ("image", "logits"), "minilm": ("text", "embedding")}


class TritonPythonModel:
    def initialize(self, args: dict[str, str]) -> None:  # noqa: ARG002
        self.model = networks.load(settings.WORKLOAD, settings.MAX_ROWS)
        self.given, self.found = _NAMES[settings.WORKLOAD]

    def execute(self, requests: list[Any]) -> list[Any]:
        """Answer the requests that Triton's dynamic batcher has put together, each with one row or more."""
        parts = [triton.get_input_tensor_by_name(request, self.given).as_numpy() for request in requests]
        rows = np.concatenate(parts)
        if settings.WORKLOAD == "minilm":
            answers = self.model([text.decode() for text in rows.ravel()])
        else:
            answers = self.model(rows)  # type: ignore[arg-type]
        replies, row = [], 0
        for part in parts:
            replies.append(triton.InferenceResponse([triton.Tensor(self.found, answers[row : row + len(part)])]))
            row += len(part)
        return replies
