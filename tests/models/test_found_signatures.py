"""Configs that leave inputs and outputs out: both are found in an example, in a program, and by running the network."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from configs.parse import parse_model
from configs.problems import ConfigError
from models.errors import ModelError
from models.signature import Array, Rows
from models.startup.complete import completed
from models.startup.open_model import OpenedModel, open_model
from tests.models import open_networks
from tests.models.networks import Linear

HERE = "tests.models.test_found_signatures"
OPEN = "tests.models.open_networks"
LINEAR = "tests.models.networks:Linear"
X = {"name": "x", "datatype": "FP32", "shape": [-1, 4]}
DIMS = {"tokens": {"sizes": [4, 8]}}


@pytest.fixture(autouse=True)
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PITSTOP_CACHE", str(tmp_path / "cache"))


def opened(source: dict[str, Any] | str, **keys: Any) -> OpenedModel:
    named = {"factory": source} if isinstance(source, str) else source
    return open_model(parse_model({"name": "m", "source": named, "max_batch_size": 4, **keys}), "cpu")


def signature(served: OpenedModel) -> dict[str, tuple[str, tuple[int | str, ...]]]:
    tensors = (*served.config.inputs, *served.config.outputs)
    return {each.name: (each.datatype, each.shape) for each in tensors}


def texts() -> Rows:
    return {"text": np.array([b"one two", b"three", b"four five six", b"seven"], object)}


def words() -> Callable[[Rows], dict[str, Array]]:
    """Return ids of words, as long as the longest text."""

    def run(rows: Rows) -> dict[str, Array]:
        split = [text.split() for text in rows["text"]]
        ids = np.zeros((len(split), max(map(len, split))), np.int64)
        for row, found in zip(ids, split, strict=True):
            row[: len(found)] = [len(word) for word in found]
        return {"input_ids": ids, "attention_mask": (ids > 0).astype(np.int64)}

    return run


def labels() -> Callable[[Rows], dict[str, Any]]:
    """Return a label and its score for each row."""

    def run(rows: Rows) -> dict[str, Any]:
        [scores] = rows.values()
        return {"label": [f"class {row.argmax()}" for row in scores], "score": scores.max(axis=1)}

    return run


def token_ids() -> list[Rows]:
    return [
        {"input_ids": np.ones((1, size), np.int64), "attention_mask": np.ones((1, size), np.int64)} for size in (3, 7)
    ]


def other_inputs() -> list[Rows]:
    return [{"x": np.ones((1, 4), np.float32)}, {"y": np.ones((1, 4), np.float32)}]


def two_kinds() -> list[Rows]:
    return [{"x": np.ones((1, 4), np.float32)}, {"x": np.ones((1, 4), np.int64)}]


def two_pictures() -> list[Rows]:
    return [{"image": np.zeros((1, 3, *size), np.uint8)} for size in ((4, 6), (6, 4))]


def an_array() -> Array:
    return np.ones((2, 4), np.float32)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_file_of_arrays_tells_the_inputs_and_a_run_the_outputs(tmp_path: Path, dtype: type[np.floating[Any]]) -> None:
    rows = np.random.default_rng(0).normal(size=(6, 4)).astype(dtype)
    np.savez(tmp_path / "rows.npz", x=rows)
    served = opened("tests.models.networks:Linear", example=str(tmp_path / "rows.npz"))
    # numpy's own fractions have 64 bits, and few networks take them.
    assert signature(served) == {"x": ("FP32", (-1, 4)), "output": ("FP32", (-1, 2))}
    assert served.outputs_read == "as found: output FP32 [-1, 2]"
    found = served.runner.run([{"x": rows.astype(np.float32)}])["output"]
    with torch.inference_mode():
        np.testing.assert_allclose(found, Linear()(torch.from_numpy(rows.astype(np.float32))).numpy(), rtol=1e-5)


@pytest.mark.parametrize("dtype", [">f4", np.longdouble, ">i8"])
def test_numbers_of_another_machine_or_of_more_bits_are_taken(dtype: Any, tmp_path: Path) -> None:
    np.savez(tmp_path / "rows.npz", x=np.ones((3, 4), dtype))
    parsed = parse_model({"name": "m", "source": {"factory": "a.b:C"}, "example": str(tmp_path / "rows.npz")})
    assert completed(parsed).inputs[0].datatype == ("INT64" if dtype == ">i8" else "FP32")


@pytest.mark.parametrize("name, size, told", [("", 4, "is empty"), ("x", 0, r"'x' of shape \[3, 0\]: shape \[-1, 0\]")])
def test_an_example_that_no_input_has_is_told_in_a_sentence(name: str, size: int, told: str, tmp_path: Path) -> None:
    (tmp_path / "rows.json").write_text(json.dumps({name: [[0.0] * size] * 3}))
    parsed = parse_model({"name": "m", "source": {"factory": "a.b:C"}, "example": str(tmp_path / "rows.json")})
    with pytest.raises(ModelError, match=f"^example: .*{told}"):
        completed(parsed)


def test_texts_and_both_hooks_need_no_signature() -> None:
    keys = {"preprocess": f"{HERE}:words", "example": f"{HERE}:texts", "dims": DIMS}
    served = opened(f"{OPEN}:Mood", **keys, postprocess=f"{HERE}:labels")
    assert signature(served) == {"text": ("BYTES", (-1,)), "label": ("BYTES", (-1,)), "score": ("FP32", (-1,))}
    tags = opened(f"{OPEN}:Tagger", **keys)
    assert signature(tags)["output"] == ("FP32", (-1, "tokens", 3))


def test_a_size_in_which_requests_differ_is_the_open_dimension() -> None:
    served = opened(f"{OPEN}:Tagger", example=f"{HERE}:token_ids", dims=DIMS)
    ids = ("INT64", (-1, "tokens"))
    assert signature(served) == {"input_ids": ids, "attention_mask": ids, "output": ("FP32", (-1, "tokens", 3))}
    assert served.runner.cut is not None


def test_boxes_of_each_row_have_a_count() -> None:
    served = opened(f"{OPEN}:ListOfBoxes", inputs=[{"name": "x", "datatype": "FP32", "shape": [-1, 8]}])
    found = signature(served)
    assert found["boxes"] == ("FP32", (-1, "count", 4))
    assert found["count"] == ("INT64", (-1,))


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_boxes_have_a_count_though_the_rows_of_the_start_have_as_many(value: float) -> None:
    x = {"name": "x", "datatype": "FP32", "shape": [-1, 8], "low": value, "high": value}
    found = signature(opened(f"{OPEN}:ListOfBoxes", inputs=[x]))
    assert (found["boxes"], found["scores"]) == (("FP32", (-1, "count", 4)), ("FP32", (-1, "count")))


def nine() -> Rows:
    return {"x": np.full((2, 8), 9, np.float32)}


def test_boxes_have_a_count_though_every_row_of_the_start_has_as_many() -> None:
    served = opened(f"{OPEN}:LargeNumbers", example=f"{HERE}:nine")
    found = signature(served)
    assert found["boxes"] == ("FP32", (-1, "count", 4))
    assert found["scores"] == ("FP32", (-1, "count"))
    for row in np.array([[[9.0] * 3 + [1] * 5], [[1] * 8]], np.float32):
        [wanted] = open_networks.LargeNumbers()(torch.from_numpy(row))
        answer = served.runner.run([{"x": row}])
        assert answer["count"].tolist() == [len(wanted["scores"])]
        np.testing.assert_array_equal(answer["boxes"], wanted["boxes"].numpy()[None])


def test_a_detector_that_finds_nothing_in_any_row_is_asked_for_rows_in_which_it_does() -> None:
    told = r"'boxes': eager gives no entry with a finite number.*\nhelp: name rows in which the network finds something"
    with pytest.raises(ModelError, match=told):
        opened(f"{OPEN}:LargeNumbers", inputs=[{"name": "x", "datatype": "FP32", "shape": [-1, 8]}])


def test_a_vector_of_each_row_is_no_count() -> None:
    served = opened(f"{OPEN}:ListOfVectors", inputs=[{"name": "x", "datatype": "FP32", "shape": [-1, 8]}])
    assert {each.name: each.shape for each in served.config.outputs} == {"embedding": (-1, 8)}


def test_a_picture_is_an_input_of_its_own_size(tmp_path: Path) -> None:
    Image.new("RGB", (12, 8)).save(tmp_path / "a.png")
    served = opened(f"{OPEN}:Segments", example=str(tmp_path / "a.png"))
    assert signature(served) == {"image": ("UINT8", (-1, 3, 8, 12)), "output": ("FP32", (-1, 4, 4, 6))}


@pytest.fixture
def program(tmp_path: Path) -> Path:
    ids, rows = torch.ones(3, 6, dtype=torch.int64), torch.export.Dim("rows", min=1)
    sizes = {0: rows, 1: torch.export.Dim("size", min=2, max=64)}
    exported = torch.export.export(open_networks.Tagger().eval(), (ids, ids), dynamic_shapes=(sizes, sizes))
    torch.export.save(exported, tmp_path / "tagger.pt2")
    return tmp_path / "tagger.pt2"


def test_a_program_says_what_it_takes(program: Path) -> None:
    served = opened({"exported_program": str(program)}, dims=DIMS)
    assert served.config.inputs[0].shape == (-1, "tokens")
    assert [each.name for each in served.config.inputs] == ["input_ids", "attention_mask"]
    with pytest.raises(ModelError, match=r"1 open sizes besides the rows, and the config no dims\nhelp: .* dims: "):
        opened({"exported_program": str(program)})


def test_a_torchscript_file_with_an_example_needs_no_signature(tmp_path: Path) -> None:
    torch.jit.script(Linear()).save(str(tmp_path / "linear.pt"))  # type: ignore[no-untyped-call]
    np.savez(tmp_path / "rows.npz", x=np.ones((3, 4), np.float32))
    served = opened({"torchscript": str(tmp_path / "linear.pt")}, example=str(tmp_path / "rows.npz"))
    assert signature(served) == {"x": ("FP32", (-1, 4)), "output": ("FP32", (-1, 2))}


def test_json_rows_of_different_sizes_are_taken_one_by_one(tmp_path: Path) -> None:
    file = tmp_path / "requests.json"
    ids = '{"input_ids": %s, "attention_mask": %s}'
    file.write_text('{"instances": [' + ids % ("[1, 2, 3]", "[1, 1, 1]") + ", " + ids % ("[4]", "[1]") + "]}")
    served = opened(f"{OPEN}:Tagger", example=str(file), dims=DIMS)
    assert served.config.inputs[0].shape == (-1, "tokens")


def test_whole_numbers_of_json_beside_fractions_are_fractions(tmp_path: Path) -> None:
    file = tmp_path / "requests.json"
    file.write_text('{"instances": [{"x": [1, 2, 3, 4]}, {"x": [1, 2.5, 3, 4]}]}')
    assert signature(opened({"factory": LINEAR}, example=str(file)))["x"] == ("FP32", (-1, 4))


def test_one_array_is_the_only_input(tmp_path: Path) -> None:
    rows = np.random.default_rng(0).normal(size=(3, 4))
    np.save(tmp_path / "rows.npy", rows)
    served = opened({"factory": LINEAR}, example=str(tmp_path / "rows.npy"))
    assert signature(served)["data"] == ("FP32", (-1, 4))
    assert len(served.samples.examples or ()) == 3
    declared = opened(LINEAR, example=str(tmp_path / "rows.npy"), inputs=[X])
    assert len(declared.samples.examples or ()) == 3
    with pytest.raises(ModelError, match="it holds one array: name a"):
        opened(f"{OPEN}:Tagger", example=str(tmp_path / "rows.npy"), inputs=[X, {**X, "name": "y"}])


@pytest.mark.parametrize(
    "keys, told",
    [
        (
            {"example": f"{HERE}:token_ids"},
            r"differ in size 1 of 'input_ids', and there are no dims.*\nhelp: if this is the only one, write .* dims: "
            r"\{tokens: .* else list inputs, as \{name: input_ids, datatype: INT64, shape: \[batch, 3\]\}",
        ),
        (
            {"example": f"{HERE}:two_pictures"},
            r"differ in size 2 of 'image', .*\nhelp: name pictures of one size, .*\{name: image, datatype: UINT8, "
            r"shape: \[batch, 3, 4, 6\]\}",
        ),
        (
            {"example": f"{HERE}:two_pictures", "dims": DIMS},
            r"differ in sizes 2 and 3 of 'image', and dims has 1 name: .*\nhelp: list inputs, as \{name: image, ",
        ),
        (
            {"example": f"{HERE}:nine", "dims": DIMS},
            r"dims lists tokens.*\nhelp: name a second request as example, in which tokens is another size; or list "
            r"them with tokens in place of .*: inputs: \[\{name: x, datatype: FP32, shape: \[batch, 8\]\}\]",
        ),
        (
            {"example": f"{HERE}:an_array"},
            "example: a request is a dict, and ndarray came\nhelp: give a dict of arrays",
        ),
        ({"example": __file__}, r"data BYTES \[-1\]: .*\nhelp: name arrays as example, in a .npy, "),
        ({"example": f"{HERE}:other_inputs"}, "its requests have different inputs"),
        ({"example": f"{HERE}:two_kinds"}, "'x' is FP32 of 2 dimensions, INT64 of 2 dimensions"),
        ({"example": f"{HERE}:texts"}, r"they are text BYTES \[-1\]: a BYTES input needs preprocess"),
    ],
)
def test_an_example_that_does_not_tell_the_inputs_says_what_to_write(keys: dict[str, Any], told: str) -> None:
    with pytest.raises(ModelError, match=told):
        opened(f"{OPEN}:Tagger", **keys)


def test_inputs_that_nothing_tells_are_missing_before_anything_starts() -> None:
    with pytest.raises(ConfigError, match=r"inputs: is missing"):
        parse_model({"name": "m", "source": {"factory": "a.b:C"}})


def test_a_size_is_found_open_where_the_network_takes_few_sizes() -> None:
    source = {"factory": f"{OPEN}:Twice", "kwargs": {"multiple": 4}}
    inputs = [{"name": "x", "datatype": "FP32", "shape": ["batch", "n"]}]
    served = opened(source, inputs=inputs, dims={"n": {"sizes": [20]}})
    assert served.config.outputs[0].shape == (-1, "n")


X8 = [{"name": "x", "datatype": "FP32", "shape": ["batch", 8], "low": -1, "high": 1}]


def test_two_numbers_that_may_be_the_count_are_told_not_guessed() -> None:
    with pytest.raises(ModelError, match=r"which kind and count count alike in the rows that were run"):
        opened(f"{OPEN}:Sorted", inputs=X8)


def test_lists_without_an_entry_ask_for_real_rows() -> None:
    with pytest.raises(ModelError, match="name real rows as example"):
        opened({"factory": f"{OPEN}:Found", "kwargs": {"floor": 100}}, inputs=X8)


def test_a_name_that_no_client_can_ask_for_is_told() -> None:
    with pytest.raises(ModelError, match=r"outputs: of those found, 'a\\nb': .*\nhelp: list outputs in the config"):
        opened(f"{OPEN}:Named", inputs=X8)


def best() -> Callable[[Rows], Rows]:
    return lambda rows: {"best": rows["output"].argmax(-1)}


def test_a_hooks_size_that_follows_an_open_dimension_is_found_open() -> None:
    names = ("input_ids", "attention_mask")
    ids = [{"name": name, "datatype": "INT64", "shape": ["batch", "tokens"]} for name in names]
    served = opened(f"{OPEN}:Tagger", inputs=ids, postprocess=f"{HERE}:best", dims=DIMS)
    assert signature(served)["best"] == ("INT64", (-1, -1))
