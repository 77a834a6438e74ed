"""Real rows in place of invented ones: read from files and callables, held against the inputs, varied where few."""

import json
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.numpy import save_file
from torch import Tensor, nn

from configs.schema import ModelConfig
from models.errors import ModelError
from models.signature import Array, Rows
from models.sources.hooks import hooks_of
from models.startup.examples import MOST_ROWS, Examples, of_config
from models.startup.open_model import open_model
from models.startup.sample_inputs import draw_of
from tests.models.test_open_model import config, opened

HERE = "tests.models.test_examples"
TEXT = [{"name": "text", "datatype": "BYTES", "shape": [-1]}]
ROWS = [[1.0, 2.0, 3.0, 4.0], [5.0, 6.0, 7.0, 8.0]]


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PITSTOP_CACHE", str(tmp_path / "cache"))


def rows_of(example: object, **keys: Any) -> dict[str, Array]:
    """Return all rows of an example, in an order of chance."""
    found = of_config(config(example=example, **keys))
    assert found is not None
    return found.draw(len(found), seed=0)


def a_request() -> dict[str, Any]:
    return {"x": np.array(ROWS)}


def several() -> list[dict[str, Any]]:
    return [{"x": [row]} for row in ROWS]


def wrong_names() -> dict[str, Any]:
    return {"z": ROWS}


def breaks() -> None:
    raise KeyError("lost")


JSON: dict[str, Any] = {
    "infer": {"inputs": [{"name": "x", "shape": [2, 4], "datatype": "FP32", "data": [*ROWS[0], *ROWS[1]]}]},
    "infers": [{"inputs": [{"name": "x", "shape": [1, 4], "data": row}]} for row in ROWS],
    "instances": {"instances": ROWS},
    "named instances": {"instances": [{"x": row} for row in ROWS]},
    "columns": {"x": ROWS},
    "rows": ROWS,
}


@pytest.mark.parametrize("kind", JSON)
def test_every_form_of_json_is_read(kind: str, tmp_path: Path) -> None:
    (tmp_path / "rows.json").write_text(json.dumps(JSON[kind]))
    found = rows_of(str(tmp_path / "rows.json"))["x"]
    assert (found.dtype, sorted(found.tolist())) == (np.float32, ROWS)


@pytest.mark.parametrize("name", ["rows.npz", "rows.safetensors"])
def test_arrays_are_read(name: str, tmp_path: Path) -> None:
    path, x = tmp_path / name, np.array(ROWS, np.float32)
    np.savez(path, x=x) if name.endswith("npz") else save_file({"x": x}, path)
    assert sorted(rows_of(str(path))["x"].tolist()) == ROWS


@pytest.mark.parametrize("name", ["a_request", "several"])
def test_a_callable_returns_one_request_or_several(name: str) -> None:
    assert sorted(rows_of(f"{HERE}:{name}")["x"].tolist()) == ROWS


def test_several_files_are_read_one_after_the_other_up_to_the_most(tmp_path: Path) -> None:
    for number in (0, 1):
        np.savez(tmp_path / f"{number}.npz", x=np.full((200, 4), number, np.float32))
    found = rows_of([str(tmp_path / "0.npz"), str(tmp_path / "1.npz")])["x"]
    assert len(found) == MOST_ROWS
    assert set(found[:, 0].tolist()) == {0.0, 1.0}


def test_a_text_file_has_a_row_a_line(tmp_path: Path) -> None:
    (tmp_path / "lines.txt").write_text("one\n\ntwo words\n")
    found = rows_of(str(tmp_path / "lines.txt"), inputs=TEXT, preprocess="tests.models.networks:twice_as_long")
    assert sorted(found["text"].tolist()) == [b"one", b"two words"]


@pytest.mark.parametrize("datatype", ["UINT8", "BYTES"])
def test_a_picture_is_a_row_of_pixels_or_its_bytes(datatype: str, tmp_path: Path) -> None:
    path = tmp_path / "red.png"
    Image.new("RGB", (10, 10), (255, 0, 0)).save(path)
    pixels = [{"name": "x", "datatype": "UINT8", "shape": [-1, 3, 4, 4]}]
    hook = {"preprocess": "tests.models.networks:twice_as_long"}
    keys: dict[str, Any] = {"inputs": pixels} if datatype == "UINT8" else {"inputs": TEXT, **hook}
    [found] = rows_of(str(path), **keys).values()
    if datatype == "UINT8":
        assert (found.shape, found[0, 0].min(), found[0, 1].max()) == ((1, 3, 4, 4), 255, 0)
    else:
        assert found.tolist() == [path.read_bytes()]


@pytest.mark.parametrize(
    "content, said",
    [
        ({"instances": [[1, 2, 3]]}, r"input 'x' .*has shape \[1, 3\], the config says \[-1, 4\]"),
        ({"z": ROWS}, r"has the names \['z'\], the inputs are \['x'\]"),
        ({"x": [["a"] * 4]}, "input 'x' "),
        ({"x": []}, "has shape"),
        ("text", "neither a request nor a list"),
    ],
)
def test_what_the_inputs_do_not_take_is_refused(content: object, said: str, tmp_path: Path) -> None:
    (tmp_path / "rows.json").write_text(json.dumps(content))
    with pytest.raises(ModelError, match=said) as caught:
        rows_of(str(tmp_path / "rows.json"))
    assert str(caught.value).startswith(f"example {tmp_path}/rows.json: ")
    assert caught.value.help


@pytest.mark.parametrize("value", [[[1.5] * 4], [[300] * 4], [[-1] * 4]])
def test_numbers_that_the_datatype_cannot_hold_are_refused(value: object, tmp_path: Path) -> None:
    (tmp_path / "rows.json").write_text(json.dumps({"x": value}))
    with pytest.raises(ModelError, match=r"input 'x' .*UINT8|out of bounds"):
        rows_of(str(tmp_path / "rows.json"), inputs=[{"name": "x", "datatype": "UINT8", "shape": [-1, 4]}])


@pytest.mark.parametrize(
    "example, said",
    [
        ("no/such.npz", "no such file"),
        ("tests/models", "tests/models: is a directory\nhelp: name a file in it"),
        (f"{HERE}:wrong_names", r"has the names \['z'\]"),
        (f"{HERE}:breaks", r"raised KeyError: 'lost' \(tests/models/test_examples.py, line \d+\)"),
        (f"{HERE}:missing", "has no 'missing'"),
    ],
)
def test_what_cannot_be_had_is_said_with_its_place(example: str, said: str) -> None:
    with pytest.raises(ModelError, match=said):
        rows_of(example)


def test_bytes_keep_their_last_zeros_and_texts_of_differing_number_are_filled_with_empty_ones() -> None:
    keys: dict[str, Any] = {"preprocess": f"{HERE}:numbers"}
    found = rows_of(f"{HERE}:blobs", inputs=TEXT, **keys)
    assert sorted(found["text"].tolist()) == [b"a\0\0", b"bcd"]
    several = [{"name": "text", "datatype": "BYTES", "shape": [-1, -1]}]
    found = rows_of(f"{HERE}:lists_of_texts", inputs=several, **keys)
    assert sorted(found["text"].tolist()) == [[b"x", b""], [b"x", b"y"]]


def blobs() -> dict[str, Any]:
    return {"text": [b"a\0\0", b"bcd"]}


def lists_of_texts() -> list[dict[str, Any]]:
    return [{"text": [["x"]]}, {"text": [["x", "y"]]}]


def test_an_input_that_is_called_inputs_is_read_as_a_column(tmp_path: Path) -> None:
    (tmp_path / "rows.json").write_text(json.dumps({"inputs": ROWS}))
    named = [{"name": "inputs", "datatype": "FP32", "shape": [-1, 4]}]
    assert sorted(rows_of(str(tmp_path / "rows.json"), inputs=named)["inputs"].tolist()) == ROWS


def test_a_message_that_holds_for_any_rows_does_not_speak_of_them() -> None:
    with pytest.raises(ModelError) as caught:
        opened("Linear", outputs=[{"name": name, "datatype": "FP32", "shape": [-1, 2]} for name in ("y", "z")])
    assert "invented" not in str(caught.value)


def lengthy() -> Any:
    def read(rows: Rows) -> dict[str, Array]:
        return {"x": np.ones((len(rows["text"]), max(len(each) for each in rows["text"]), 4), np.float32)}

    return read


def test_a_row_that_preprocessed_is_longer_than_any_length_is_refused(tmp_path: Path) -> None:
    (tmp_path / "rows.txt").write_text("ab\nabcdefghij\n")
    keys: dict[str, Any] = {"inputs": TEXT, "preprocess": f"{HERE}:lengthy", "lengths": [4, 8]}
    with pytest.raises(ModelError, match="example: preprocessed, 'x' has 10 along its open size"):
        opened("Linear", **keys, example=str(tmp_path / "rows.txt"))


@pytest.mark.parametrize("name", ["all_nan", "with_gradient"])
def test_a_fault_of_an_example_is_told_as_one(name: str) -> None:
    with pytest.raises(ModelError, match="example"):
        opened("Linear", example=f"{HERE}:{name}")


def all_nan() -> dict[str, Any]:
    return {"x": np.full((2, 4), np.nan, np.float32)}


def with_gradient() -> dict[str, Any]:
    return {"x": torch.ones(2, 4, requires_grad=True)}


def test_an_example_without_a_row_is_refused(tmp_path: Path) -> None:
    (tmp_path / "rows.txt").write_text("\n\n")
    with pytest.raises(ModelError, match="has no row"):
        rows_of(str(tmp_path / "rows.txt"), inputs=TEXT, preprocess=f"{HERE}:numbers")


def test_a_pickle_in_a_npz_is_not_run(tmp_path: Path) -> None:
    np.savez(tmp_path / "rows.npz", x=np.array([{"a": 1}], object))
    with pytest.raises(ModelError, match="cannot be read"):
        rows_of(str(tmp_path / "rows.npz"))


def test_rows_of_differing_length_are_padded_and_a_row_too_long_is_refused(tmp_path: Path) -> None:
    def row(size: int) -> dict[str, Any]:
        return {"inputs": [{"name": "x", "shape": [1, size], "data": [1] * size}]}

    keys: dict[str, Any] = {"inputs": [{"name": "x", "datatype": "INT64", "shape": [-1, -1]}], "lengths": [4, 8]}
    path = tmp_path / "rows.json"
    path.write_text(json.dumps([row(3), row(5)]))
    assert sorted(rows_of(str(path), **keys)["x"].tolist()) == [[1, 1, 1, 0, 0], [1, 1, 1, 1, 1]]
    path.write_text(json.dumps([row(3), row(9)]))
    given = config(example=str(path), **keys)
    with pytest.raises(ModelError, match="'x' has 9 along its open size"):
        draw_of(given, hooks_of(given))


def bounded(high: int) -> list[dict[str, Any]]:
    return [{"name": "x", "datatype": "INT64", "shape": [-1, 2], "high": high}]


def check_draw(given: ModelConfig, refusal: str | None) -> None:
    """Draw the rows of a start; assert that they are refused with this sentence, or are not."""
    with nullcontext() if refusal is None else pytest.raises(ModelError, match=refusal):
        draw_of(given, hooks_of(given))


@pytest.mark.parametrize(
    "high, refusal",
    [(4, None), (3, r"example: 'x' has 4 in row 1, this model takes 0 to 3\nhelp: give rows")],
)
def test_an_example_has_only_numbers_that_a_client_may_send(high: int, refusal: str | None, tmp_path: Path) -> None:
    path = tmp_path / "rows.json"
    path.write_text(json.dumps({"x": [[1, 1], [1, 4]]}))
    check_draw(config(example=str(path), inputs=bounded(high)), refusal)


def whole_numbers() -> Any:
    return lambda rows: {"x": np.array([json.loads(each) for each in rows["text"]])}


@pytest.mark.parametrize(
    "high, refusal",
    [(4, None), (3, r"preprocess: 'x' has 4 in row 0, .*\nhelp: correct low and high in model")],
)
def test_what_a_preprocess_returns_at_the_start_is_within_the_bounds_of_model_inputs(
    high: int, refusal: str | None, tmp_path: Path
) -> None:
    (tmp_path / "rows.txt").write_text("[1, 4]\n[1, 4]\n")
    keys: dict[str, Any] = {
        "inputs": TEXT,
        "preprocess": f"{HERE}:whole_numbers",
        "example": str(tmp_path / "rows.txt"),
    }
    check_draw(config(**keys, model_inputs=bounded(high)), refusal)


def test_a_start_asks_with_the_rows_that_are_named_and_its_metadata_says_so() -> None:
    assert opened("Linear", example=f"{HERE}:a_request").summary()["checked_with"] == "2 example rows"
    assert opened("Linear").summary()["checked_with"] == "invented rows"


class Ordered(nn.Module):
    """Takes only rows whose numbers rise, as corners of boxes do."""

    def forward(self, x: Tensor) -> Tensor:
        if bool((x.diff(dim=1) <= 0).any()):
            raise ValueError("the numbers must rise")
        return x[:, :2] * 2


def test_a_network_that_takes_no_invented_row_is_told_of_example_and_starts_with_one() -> None:
    keys: dict[str, Any] = {"source": {"factory": f"{HERE}:Ordered"}, "backend": "eager"}
    with pytest.raises(ModelError, match="the numbers must rise") as caught:
        open_model(config(**keys), "cpu")
    assert "invented numbers: name real rows as example, or give low and high" in caught.value.help
    open_model(config(**keys, example=f"{HERE}:a_request"), "cpu")


def numbers() -> Any:
    def read(rows: Rows) -> dict[str, Array]:
        return {"x": np.array([json.loads(each) for each in rows["text"]], np.float32)}

    return read


def test_a_hook_that_refuses_invented_bytes_is_told_of_example_and_starts_with_one(tmp_path: Path) -> None:
    keys: dict[str, Any] = {"inputs": TEXT, "preprocess": f"{HERE}:numbers", "backend": "eager"}
    with pytest.raises(ModelError, match="preprocess raised JSONDecodeError") as caught:
        opened("Linear", **keys)
    assert "invented words: name a file of real inputs as example" in caught.value.help
    (tmp_path / "rows.txt").write_text("\n".join(json.dumps(row) for row in ROWS))
    opened("Linear", **keys, example=str(tmp_path / "rows.txt"))


@pytest.mark.parametrize("rows", [1, 2, 8])
def test_rows_that_influence_each_other_are_found_however_few_the_examples_are(rows: int, tmp_path: Path) -> None:
    np.savez(tmp_path / "rows.npz", x=np.random.default_rng(0).normal(size=(rows, 4)).astype(np.float32))
    with pytest.raises(ModelError, match="a row alone and in a batch"):
        opened("BatchStatistics", example=str(tmp_path / "rows.npz"))


class CountedIds(nn.Module):
    """Divides by how many ids the whole batch has: a fault that a batch of one row's copies also shows."""

    def forward(self, ids: Tensor) -> Tensor:
        y = ids.float() - ids.float().mean(dim=0, keepdim=True)
        return torch.stack((y.sum(1), y.square().sum(1)), dim=1)


def test_one_row_of_ids_beside_itself_is_not_taken_for_company(tmp_path: Path) -> None:
    (tmp_path / "ids.json").write_text(json.dumps({"ids": [[5, 6, 7, 8]]}))
    ids = [{"name": "ids", "datatype": "INT64", "shape": [-1, 4]}]
    with pytest.raises(ModelError, match="a row alone and in a batch"):
        open_model(
            config(source={"factory": f"{HERE}:CountedIds"}, inputs=ids, example=str(tmp_path / "ids.json")), "cpu"
        )


def test_a_draw_is_of_the_seed_and_rows_that_come_again_have_other_numbers() -> None:
    found = Examples([{"x": np.ones((1, 4), np.float32)}, {"x": np.full((1, 4), 2, np.float32)}])
    drawn = found.draw(6, seed=1)["x"]
    assert (found.draw(6, seed=1)["x"] == drawn).all()
    assert (found.draw(6, seed=2)["x"] != drawn).any()
    assert len({tuple(row) for row in drawn.tolist()}) == 6
    assert sorted(drawn[:2, 0].tolist()) == [1.0, 2.0]


@pytest.mark.parametrize("name", ["rows.txt", "rows.json"])
def test_a_text_that_is_not_utf_8_is_told_with_its_place(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes('["caf\xe9"]'.encode("latin-1"))
    with pytest.raises(ModelError, match=r"it is not UTF-8 from byte 5 on: save it as UTF-8\)\nhelp: ") as caught:
        rows_of(str(tmp_path / name), inputs=TEXT, preprocess=f"{HERE}:numbers")
    assert "UnicodeDecodeError" not in str(caught.value)


@pytest.mark.parametrize("name, content", [("rows.txt", "caf\xe9"), ("rows.json", '["caf\xe9"]')])
def test_a_mark_of_utf_8_is_no_part_of_a_row(name: str, content: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(content, encoding="utf-8-sig")
    found = rows_of(str(tmp_path / name), inputs=TEXT, preprocess=f"{HERE}:numbers")
    assert found["text"].tolist() == ["caf\xe9".encode()]


@pytest.mark.parametrize("ending", [".pt", ".csv"])
def test_a_file_of_another_kind_is_told_which_there_are(ending: str, tmp_path: Path) -> None:
    (tmp_path / f"rows{ending}").write_bytes(b"x")
    said = rf"only a model with one BYTES input takes a {ending} file\)\nhelp: name a .npz, .npy, .safetensors, .json,"
    with pytest.raises(ModelError, match=said):
        rows_of(str(tmp_path / f"rows{ending}"))


@pytest.mark.parametrize("given", [[], [""], "", 3, ["a.npz", 3], {"a": "b"}])
def test_what_names_no_example_is_one_error(given: object) -> None:
    with pytest.raises(ValueError, match="names no example") as caught:
        config(example=given)
    assert str(caught.value).count("names no example") == 1
