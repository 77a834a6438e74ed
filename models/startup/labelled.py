"""The labelled file of `accept.accuracy`: its rows and their labels. No torch here, since `pitstop check` reads it too.

A .npz or .safetensors has an array per input and one called label; a .jsonl has an object a line, with a value per
input and a label.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from configs.accept import AccuracyConfig
from configs.code_files import local
from configs.schema import ModelConfig

from ..errors import ModelError, first_line
from ..signature import Array, Signature, Tensor, listed, signature_of
from ..sources.files import fetch, shown
from ..user_code import call_at_start
from .examples import checked_rows

LABEL = "label"
MOST_ROWS = 10_000
_FORMS = "give a .npz or .safetensors with an array per input and one called label, or a .jsonl of such objects"


@dataclass(frozen=True, slots=True)
class Labelled:
    """Rows, [1, ...] per input, each with its label."""

    rows: Sequence[Mapping[str, Array]]
    labels: Array


def load(accuracy: AccuracyConfig, signature: Signature) -> Labelled:
    """Return the rows of a labelled file, 10,000 or 256 MiB at most; raise ModelError if it cannot be used."""
    what = f"accept.accuracy.data {shown(accuracy.data)}"
    requests = _requests(what, fetch(accuracy.data))
    bare, labels = list[Mapping[str, Any]](), list[Array]()
    for request in requests[:MOST_ROWS]:
        if LABEL not in request:
            raise ModelError(f"{what}: has {list(request)}, and no {LABEL}\nhelp: {_FORMS}")
        inputs = {name: value for name, value in request.items() if name != LABEL}
        found = _labels(what, request[LABEL])
        counts = {name: len(value) for name, value in inputs.items() if isinstance(value, np.ndarray | list)}
        if any(count != len(found) for count in counts.values()):
            raise ModelError(f"{what}: has {len(found)} labels for {counts} rows\nhelp: give one label a row")
        bare.append(inputs)
        labels.append(found)
    rows = call_at_start(what, _FORMS, checked_rows, what, signature, bare, MOST_ROWS)
    if not rows:
        raise ModelError(f"{what}: has no row\nhelp: {_FORMS}")
    return Labelled(rows, np.concatenate(labels)[: len(rows)])


def check_file(config: ModelConfig) -> None:
    """Raise ModelError if the labelled file of a config is here and cannot be used, as far as its outputs tell."""
    accuracy = None if config.accept is None else config.accept.accuracy
    if accuracy is None or not config.inputs or local(accuracy.data) is None:
        return
    labelled, outputs = load(accuracy, signature_of(config)), signature_of(config).outputs
    if outputs:
        check_labels(accuracy, labelled.labels, answer_output(accuracy, outputs))


def answer_output(accuracy: AccuracyConfig, outputs: Sequence[Tensor]) -> Tensor:
    """Return the output that holds the answer: the named one, else the first of floats with an entry per class, else
    the first of whole numbers.

    Raises:
        ModelError: there is none.
    """
    fit = sorted((each for each in outputs if _scores(each) or _classes(each)), key=_classes)
    if accuracy.output is None and fit:
        return fit[0]
    named = next((each for each in fit if each.name == accuracy.output), None)
    if named is None:
        what = (
            "accept.accuracy" if accuracy.output is None else f"accept.accuracy.output is {accuracy.output!r}, and it"
        )
        raise ModelError(
            f"{what} needs floats [rows, classes] or whole numbers [rows]; a client gets {listed(outputs)}\n"
            "help: name an output of these as accept.accuracy.output, or remove accept.accuracy"
        )
    return named


def check_labels(accuracy: AccuracyConfig, labels: Array, output: Tensor) -> None:
    """Raise ModelError for a label that no answer can be."""
    classes = output.shape[-1] if _scores(output) else -1
    wrong = labels[(labels < 0) | (labels >= classes)] if classes > 0 else labels[labels < 0]
    if len(wrong) and _scores(output):
        raise ModelError(
            f"accept.accuracy.data {shown(accuracy.data)}: has the label {wrong[0]}, and {output.name!r} has the "
            f"classes 0 to {classes - 1}\nhelp: number the labels as the output does"
        )


def right(answer: Array, labels: Array) -> int:
    """Return how many rows of the answer's output are their labels."""
    found = answer.argmax(-1) if answer.dtype.kind == "f" else answer.reshape(len(labels))
    return int((found == labels).sum())


def _scores(tensor: Tensor) -> bool:
    return tensor.numpy.kind == "f" and len(tensor.shape) == 2 and tensor.shape[1] != 1


def _classes(tensor: Tensor) -> bool:
    return tensor.numpy.kind in "iu" and tensor.shape[1:] in ((), (1,))


def _requests(what: str, path: Path) -> list[Mapping[str, Any]]:
    read = {".npz": _npz, ".safetensors": _safetensors, ".jsonl": _jsonl}.get(path.suffix.lower())
    if read is None:
        raise ModelError(f"{what}: is of no kind that holds labels\nhelp: {_FORMS}")
    try:
        return read(path)
    except Exception as error:  # Whatever a library raises of a file.
        raise ModelError(f"{what}: cannot be read ({first_line(error)})\nhelp: {_FORMS}") from error


def _npz(path: Path) -> list[Mapping[str, Any]]:
    with np.load(path, allow_pickle=False) as found:
        return [{name: found[name] for name in found.files}]


def _safetensors(path: Path) -> list[Mapping[str, Any]]:
    from safetensors.numpy import load_file

    return [load_file(path)]


def _jsonl(path: Path) -> list[Mapping[str, Any]]:
    """Read a row a line: they may differ in size."""
    with path.open(encoding="utf-8-sig") as file:
        lines = [(number, json.loads(line)) for number, line in enumerate(file, 1) if line.strip()]
    if strangers := [number for number, row in lines if not isinstance(row, dict)]:
        raise ValueError(f"line {strangers[0]} is no object")
    return [{name: [value] for name, value in row.items()} for _, row in lines]


def _labels(what: str, given: Any) -> Array:
    labels = np.asarray(given)
    if labels.ndim == 2 and labels.shape[1] == 1:
        labels = labels[:, 0]
    if labels.ndim != 1 or labels.dtype.kind not in "iu":
        came = f"{labels.dtype} {list(labels.shape)}"
        raise ModelError(f"{what}: its label is {came}\nhelp: give a whole number a row, the number of its class")
    return labels.astype(np.int64)
