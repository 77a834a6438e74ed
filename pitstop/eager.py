"""A model of a config, run eagerly in this process: what its service has to answer. For tests beside a service."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from .project import find_packages

Rows = Mapping[str, np.ndarray[Any, Any]]


class EagerModel:
    """A model as its author wrote it, with its hooks; nothing is compiled, batched or padded."""

    def __init__(self, config: str | Path, name: str) -> None:
        """Load the model `name` of a config file, on the CPU.

        Raises:
            ModelError, ConfigError: it cannot be loaded, or there is no such model.
        """
        find_packages()
        import torch

        from configs.loader import load
        from configs.problems import ConfigError
        from models.startup import stages
        from models.startup.precision import plain

        apps = {each.name: each.config for each in load(config).models}
        if name not in apps:
            raise ConfigError(f"{config}: has no model {name!r}\nhelp: it has {', '.join(apps)}")
        given, module = stages.complete(apps[name], None)
        self._bound = stages.bind_source(given, module)
        checked = stages.check_eagerly(self._bound, plain(given), torch.device("cpu"))
        self._reference = checked.reference
        self.config = stages.declared(self._bound, checked, given)

    def rows(self, count: int, seed: int = 0) -> dict[str, np.ndarray[Any, Any]]:
        """Return rows of a request, [count, ...] for each input: of the config's example, or random ones."""
        from models.startup import random_inputs

        samples = self._bound.samples
        if samples.examples is not None:
            return samples.examples.draw(count, seed)
        return random_inputs.sample(samples.inputs, count, seed, sizes=samples.least)

    def __call__(self, rows: Rows) -> dict[str, np.ndarray[Any, Any]]:
        """Return every output for these rows, [rows, ...] each."""
        from models.runtime.postprocessed import check_outputs
        from models.signature import signature_of
        from models.startup.postprocess_check import as_arrays

        samples, hook = self._bound.samples, self._bound.postprocess
        count = len(next(iter(rows.values())))
        given = rows if samples.preprocess is None else samples.preprocessed(rows, count)
        found = as_arrays(self._reference.outputs, self._reference(given))
        return found if hook is None else check_outputs(hook(found), count, signature_of(self.config).outputs)

    def inputs(self, rows: Rows) -> list[dict[str, Any]]:
        """Return rows as the `inputs` of a request to /infer."""
        declared = {each.name: each.datatype for each in self.config.inputs}
        return [
            {"name": name, "datatype": declared[name], "shape": list(array.shape), "data": _listed(array)}
            for name, array in rows.items()
        ]

    def compare(self, answer: Mapping[str, Any], rows: Rows, tolerance: float = 1e-3) -> None:
        """Raise AssertionError if an answer of /infer, or an object of /predict for one row, is another than eager's.

        Args:
            answer: the JSON.
            rows: what was asked.
            tolerance: the largest difference, relative to the largest number of an output.
        """
        for name, expected in self(rows).items():
            found = _of(answer, name)
            if expected.dtype == object:
                for one, other in zip(np.ravel(found), expected.ravel(), strict=True):
                    _compare_texts(_text(one), _text(other), tolerance, name)
                continue
            numbers = np.asarray(found, expected.dtype).reshape(expected.shape)
            most = float(np.abs(expected, dtype=np.float64).max()) if expected.size else 0.0
            np.testing.assert_allclose(
                numbers, expected, rtol=tolerance, atol=tolerance * max(most, 1e-6), err_msg=name
            )


def _of(answer: Mapping[str, Any], name: str) -> Any:
    if "outputs" not in answer:
        return answer[name]
    return next(each["data"] for each in answer["outputs"] if each["name"] == name)


def _listed(array: np.ndarray[Any, Any]) -> list[Any]:
    return [_text(each) for each in array.ravel()] if array.dtype == object else array.ravel().tolist()


def _text(value: object) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


def _compare_texts(found: str, expected: str, tolerance: float, name: str) -> None:
    """Raise AssertionError where texts differ; of two that are JSON, the numbers in them may be near."""
    try:
        left, right = json.loads(found), json.loads(expected)
    except ValueError:
        assert found == expected, name
        return
    assert _words(left) == _words(right), name
    np.testing.assert_allclose(_numbers(left), _numbers(right), rtol=tolerance, atol=tolerance, err_msg=name)


def _words(value: Any) -> Any:
    """Return what JSON holds, without its numbers."""
    if isinstance(value, dict):
        return {key: _words(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_words(each) for each in value]
    return None if isinstance(value, int | float) else value


def _numbers(value: Any) -> list[float]:
    if isinstance(value, dict | list):
        inner = value.values() if isinstance(value, dict) else value
        return [number for each in inner for number in _numbers(each)]
    return [float(value)] if isinstance(value, int | float) else []
