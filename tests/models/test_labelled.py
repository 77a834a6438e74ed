"""The labelled file of `accept.accuracy`: what it may be, and what is told of one that cannot be used."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file
from typer.testing import CliRunner

from configs.accept import AccuracyConfig
from models.errors import ModelError
from models.signature import Tensor, signature_of
from models.startup.labelled import Labelled, answer_output, check_file, check_labels, load, right
from pitstop.cli import app
from tests.models.test_open_model import config

X = np.arange(12, dtype=np.float32).reshape(3, 4)
LABELS = np.array([0, 1, 1])
SCORES = Tensor("scores", "FP32", (-1, 2))
CLASS = Tensor("class", "INT64", (-1,))
VALUE = Tensor("value", "FP32", (-1, 1))


def written(folder: Path, suffix: str, **arrays: Any) -> str:
    path = folder / f"rows{suffix}"
    if suffix == ".npz":
        np.savez(path, **arrays)
    elif suffix == ".safetensors":
        save_file(arrays, path)
    else:
        rows = [
            dict(zip(arrays, each, strict=True)) for each in zip(*map(np.ndarray.tolist, arrays.values()), strict=True)
        ]
        path.write_text("\n".join(map(json.dumps, rows)) + "\n\n")
    return str(path)


def asked(data: str, output: str | None = None) -> AccuracyConfig:
    return AccuracyConfig(data=data, at_least=0.5, output=output)


def loaded(data: str) -> Labelled:
    return load(asked(data), signature_of(config()))


@pytest.mark.parametrize("suffix", [".npz", ".safetensors", ".jsonl"])
@pytest.mark.parametrize("labels", [LABELS, LABELS[:, None], LABELS.astype(np.uint8)])
def test_a_file_has_rows_by_input_and_a_label_a_row(tmp_path: Path, suffix: str, labels: Any) -> None:
    if suffix == ".jsonl" and labels.ndim == 2:
        labels = labels[:, 0]
    found = loaded(written(tmp_path, suffix, x=X, label=labels))
    np.testing.assert_array_equal(np.concatenate([row["x"] for row in found.rows]), X)
    assert found.labels.tolist() == [0, 1, 1]


def test_texts_stand_in_lines(tmp_path: Path) -> None:
    path = tmp_path / "texts.jsonl"
    path.write_text('{"text": "fast", "label": 1}\n{"text": "slow and long", "label": 0}\n')
    inputs = [{"name": "text", "datatype": "BYTES", "shape": [-1]}]
    found = load(asked(str(path)), signature_of(config(inputs=inputs, preprocess="a:b")))
    assert [row["text"].tolist() for row in found.rows] == [[b"fast"], [b"slow and long"]]


@pytest.mark.parametrize(
    "suffix, arrays, told",
    [
        (".npz", {"x": X}, r"has \['x'\], and no label"),
        (".npz", {"x": X, "label": LABELS[:2]}, r"has 2 labels for {'x': 3} rows"),
        (".npz", {"x": X, "label": LABELS / 2}, r"its label is float64 \[3\].*\nhelp: give a whole number a row"),
        (".npz", {"x": X, "label": np.zeros((3, 2), int)}, r"its label is int64 \[3, 2\]"),
        (".npz", {"z": X, "label": LABELS}, r"has the names \['z'\], the inputs are \['x'\]"),
        (".npz", {"x": X[:, :3], "label": LABELS}, r"input 'x' has shape \[3, 3\]"),
        (".npz", {"x": X[:0], "label": LABELS[:0]}, "has no row"),
        (".jsonl", {"x": X[:0], "label": LABELS[:0]}, "has no row"),
    ],
)
def test_what_does_not_fit_the_inputs_is_told(tmp_path: Path, suffix: str, arrays: dict[str, Any], told: str) -> None:
    with pytest.raises(ModelError, match=rf"accept\.accuracy\.data .*rows\{suffix}: {told}"):
        loaded(written(tmp_path, suffix, **arrays))


@pytest.mark.parametrize(
    "name, text", [("rows.csv", "x,label"), ("rows.npz", "no"), ("rows.jsonl", "[1]"), ("rows.jsonl", "{")]
)
def test_what_cannot_be_read_is_told(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(ModelError, match=r"(cannot be read|of no kind that holds labels).*\nhelp: give a \.npz"):
        loaded(str(tmp_path / name))


def test_the_answer_is_the_first_output_with_an_entry_a_class_or_the_named_one() -> None:
    every = [VALUE, CLASS, SCORES]
    assert answer_output(asked("d"), every) is SCORES
    assert answer_output(asked("d"), [VALUE, CLASS]) is CLASS
    assert answer_output(asked("d", "class"), every) is CLASS
    for output in ("value", "absent"):
        with pytest.raises(ModelError, match=rf"accept\.accuracy\.output is '{output}', and it needs floats"):
            answer_output(asked("d", output), every)
    with pytest.raises(ModelError, match=r"accept\.accuracy needs floats .* a client gets value FP32 \[-1, 1\]"):
        answer_output(asked("d"), [VALUE])


@pytest.mark.parametrize("label", [-1, 2])
def test_a_label_of_no_class_is_told(label: int) -> None:
    with pytest.raises(ModelError, match=rf"has the label {label}, and 'scores' has the classes 0 to 1"):
        check_labels(asked("d"), np.array([0, 1, label]), SCORES)
    check_labels(asked("d"), np.array([0, 1]), SCORES)
    check_labels(asked("d"), np.array([label]), CLASS)


def test_a_row_is_right_where_its_highest_entry_or_its_class_is_the_label() -> None:
    assert right(np.array([[1.0, 2.0], [1.0, 2.0], [9.0, 2.0]]), LABELS) == 1
    assert right(np.array([[0], [1], [0]]), LABELS) == 2


def test_a_check_of_the_config_reads_the_file(tmp_path: Path) -> None:
    def wanted(data: str) -> Any:
        return config(accept={"accuracy": {"data": data, "at_least": 0.9}})

    check_file(config())
    check_file(wanted("memory://elsewhere.npz"))
    check_file(wanted(written(tmp_path, ".npz", x=X, label=LABELS)))
    with pytest.raises(ModelError, match="has the label 2"):
        check_file(wanted(written(tmp_path, ".npz", x=X, label=LABELS * 2)))


def test_pitstop_check_tells_what_is_wrong_with_the_file(tmp_path: Path) -> None:
    served = (Path(__file__).resolve().parents[2] / "serve_config.yaml").read_text(encoding="utf-8")
    data, path = tmp_path / "rows.npz", tmp_path / "config.yaml"
    accept = f"accept: {{accuracy: {{data: {data}, at_least: 0.9}}}}"
    path.write_text(served.replace("max_batch_size:", f"{accept}\n      max_batch_size:", 1))
    checked = CliRunner().invoke(app, ["check", str(path)])
    assert (checked.exit_code, f"{data}: no such file" in checked.output) == (1, True)
    np.savez(data, x=X, label=LABELS)
    checked = CliRunner().invoke(app, ["check", str(path)])
    assert (checked.exit_code, "has the names ['x'], the inputs are" in checked.output) == (1, True)
