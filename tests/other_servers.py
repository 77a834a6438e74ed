"""As much of TorchServe, Triton and LitServe as the code of docs/from-*.md calls, so that it runs without them.

The pages were also run with the real servers, by hand; docs/moving.md names the versions.
"""

import importlib.util
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import torch


class BaseHandler:
    """TorchServe's, but for loading: a test sets `model`."""

    model: Any

    def handle(self, requests: list[dict[str, Any]]) -> Any:
        handler: Any = self
        with torch.inference_mode():
            outputs = self.model(handler.preprocess(requests))
        return handler.postprocess(outputs)


class LitAPI:
    """LitServe's, with its own way of making batches."""

    device = "cpu"

    def __init__(self, max_batch_size: int = 1, batch_timeout: float = 0.0) -> None:
        self.max_batch_size, self.batch_timeout = max_batch_size, batch_timeout

    def answer(self, requests: list[Any]) -> list[Any]:
        api: Any = self
        outputs = api.predict(torch.stack([api.decode_request(each) for each in requests]))
        return [api.encode_response(each) for each in list(outputs)]


class TritonTensor(SimpleNamespace):
    """Triton's `pb_utils.Tensor`."""

    def __init__(self, name: str, array: np.ndarray[Any, Any]) -> None:
        super().__init__(name=name, as_numpy=lambda: array)


def _input(request: list[TritonTensor], name: str) -> TritonTensor:
    return next(each for each in request if each.name == name)


_STAND_INS: dict[str, dict[str, Any]] = {
    "ts": {},
    "ts.torch_handler": {},
    "ts.torch_handler.base_handler": {"BaseHandler": BaseHandler},
    "litserve": {"LitAPI": LitAPI},
    "triton_python_backend_utils": {
        "Tensor": TritonTensor,
        "InferenceResponse": lambda tensors: tensors,
        "get_input_tensor_by_name": _input,
    },
}


@contextmanager
def loaded(path: Path, **neighbours: ModuleType) -> Iterator[ModuleType]:
    """Load a file as its server does: that server's modules and the file's neighbours can be imported."""
    before = dict(sys.modules)
    for name, content in _STAND_INS.items():
        sys.modules[name] = ModuleType(name)
        vars(sys.modules[name]).update(content)
    sys.modules.update(neighbours)
    try:
        spec = importlib.util.spec_from_file_location(f"moved_{path.stem}", path)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        yield module
    finally:
        sys.modules.clear()
        sys.modules.update(before)
