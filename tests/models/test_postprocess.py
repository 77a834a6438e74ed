"""What a postprocess gets and returns: the network's own tensors, and the outputs of the config."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor as Torch
from torch import nn

from configs.schema import ModelConfig
from models.errors import ModelError
from models.runtime.postprocessed import check_outputs
from models.signature import Array, Rows, Tensor
from models.sources.hooks import hook_of, hooks_of
from models.startup.network_outputs import Returned, network_outputs
from models.startup.open_model import OpenedModel, open_model

SERVICES, HERE = "tests.services.bad_answers", "tests.models.test_postprocess"
OUT = (Tensor("label", "BYTES", (-1,)), Tensor("score", "FP32", (-1, 2)))
SCORE = np.zeros((2, 2), np.float32)
LABEL = [b"a", "b"]
JSON: list[dict[str, Any]] = [
    {"name": "json", "datatype": "BYTES", "shape": [-1]},
    {"name": "square", "datatype": "FP32", "shape": [-1]},
]
LENGTH: list[dict[str, Any]] = [{"name": "length", "datatype": "BYTES", "shape": [-1]}]
TEXT: list[dict[str, Any]] = [{"name": "text", "datatype": "BYTES", "shape": [-1]}]


@pytest.fixture(autouse=True)
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PITSTOP_CACHE", str(tmp_path))


def config(**keys: Any) -> ModelConfig:
    base: dict[str, Any] = {
        "name": "m",
        "source": {"factory": f"{SERVICES}:Doubles"},
        "postprocess": f"{SERVICES}:make",
        "inputs": [{"name": "x", "datatype": "FP32", "shape": [-1, 2], "low": 0, "high": 0}],
        "outputs": JSON,
        "max_batch_size": 4,
    }
    return ModelConfig.model_validate({**base, **keys})


def opened(**keys: Any) -> OpenedModel:
    return open_model(config(**keys), "cpu")


@pytest.mark.parametrize("label", [LABEL, ("a", "b"), np.array(["a", "b"]), np.array([b"a", b"b"], object)])
def test_labels_come_as_lists_and_arrays_of_bytes_and_text(label: Any) -> None:
    found = check_outputs({"score": SCORE, "label": label}, 2, OUT)
    assert list(found) == ["label", "score"]
    assert found["label"].dtype == object
    assert found["label"].tolist() == [b"a", b"b"]


def test_what_was_returned_is_copied_and_left_as_it_is() -> None:
    label = np.array(["a", "b"], object)
    found = check_outputs({"score": SCORE, "label": label}, 2, OUT)
    assert label.tolist() == ["a", "b"]
    assert not np.shares_memory(found["score"], SCORE)


def test_an_open_size_may_be_nothing() -> None:
    boxes = Tensor("boxes", "FP32", (-1, -1, 4))
    for count in (0, 3):
        found = check_outputs({"boxes": np.zeros((1, count, 4), np.float32)}, 1, (boxes,))
        assert found["boxes"].shape == (1, count, 4)
    assert boxes.no_rows.shape == (0, 0, 4)


@pytest.mark.parametrize(
    "found, said",
    [
        (None, "a NoneType"),
        ([LABEL, SCORE], "a list"),
        ({"label": LABEL}, "the names ['label']"),
        ({"label": LABEL, "score": SCORE, "more": SCORE}, "the names ['label', 'score', 'more']"),
        ({"label": LABEL, "scores": SCORE}, "the names ['label', 'scores']"),
        ({"label": LABEL, "score": SCORE.tolist()}, "a list as 'score'"),
        ({"label": LABEL, "score": torch.zeros(2, 2)}, "a Tensor as 'score'"),
        ({"label": LABEL, "score": SCORE.astype(np.float64)}, "'score' as float64 [2, 2]"),
        ({"label": LABEL, "score": SCORE[:1]}, "'score' as float32 [1, 2]"),
        ({"label": LABEL, "score": SCORE[0]}, "'score' as float32 [2]"),
        ({"label": LABEL, "score": SCORE[:, :1]}, "'score' as float32 [2, 1]"),
        ({"label": LABEL[:1], "score": SCORE}, "'label' with the sizes [1]"),
        ({"label": [["a"], ["b"]], "score": SCORE}, "'label' with the sizes [2, 1]"),
        ({"label": [["a"], ["b", "c"]], "score": SCORE}, "a list in 'label'"),
        ({"label": ["a", None], "score": SCORE}, "a NoneType in 'label'"),
        ({"label": [1, 2], "score": SCORE}, "a int in 'label'"),
        ({"label": SCORE[:, 0], "score": SCORE}, "'label' as float32 [2]"),
        ({"label": "ab", "score": SCORE}, "a str as 'label'"),
        ({"label": b"ab", "score": SCORE}, "a bytes as 'label'"),
    ],
)
def test_anything_else_is_refused_with_what_came_and_what_was_expected(found: Any, said: str) -> None:
    with pytest.raises(ModelError) as raised:
        check_outputs(found, 2, OUT)
    assert str(raised.value).startswith(f"postprocess returned {said} for 2 rows; expected a dict with ")
    assert "'label' as bytes or str [2], 'score' as float32 [2, 2]" in str(raised.value)


def given(*results: Any) -> tuple[list[tuple[str, str, tuple[int, ...]]], str]:
    reading, tensors = network_outputs(Returned(results[0], 3, {}), [Returned(results[1], 2, {})])
    return [(each.name, each.datatype, each.shape) for each in tensors], reading.how


def test_a_hook_gets_what_has_a_row_for_each_row_by_the_networks_names() -> None:
    def forward(rows: int) -> Any:
        return {
            "logits": torch.zeros(rows, 5),
            "hidden": (torch.zeros(rows, 2, dtype=torch.bfloat16), torch.zeros(3, 2)),
            "words": torch.zeros(rows, rows + 1),
            "loss": torch.tensor(1.0),
            "count": [1, 2, 3][:rows],
            "none": None,
        }

    found, how = given(forward(3), forward(2))
    assert found == [("logits", "FP32", (-1, 5)), ("hidden.0", "FP32", (-1, 2)), ("count", "INT64", (-1,))]
    assert how.startswith("by postprocess, from logits FP32 [-1, 5], hidden.0 FP32 [-1, 2], count INT64 [-1]; without ")
    assert "without hidden.1, words, loss," in how


@pytest.mark.parametrize(
    "forward, names",
    [
        (lambda rows: torch.zeros(rows, 5), ["output"]),
        (lambda rows: [torch.zeros(rows, 5)], ["output"]),
        (lambda rows: (torch.zeros(rows, 5), None, torch.zeros(1), [torch.zeros(rows)]), ["output0", "output2"]),
    ],
)
def test_what_has_no_names_is_called_by_its_place(forward: Any, names: list[str]) -> None:
    assert [name for name, _, _ in given(forward(3), forward(2))[0]] == names


def test_two_tensors_of_one_name_are_refused() -> None:
    def returned(rows: int) -> Returned:
        y = torch.zeros(rows, 2)
        return Returned({"a.b": y, "a": {"b": y}}, rows, {})

    with pytest.raises(ModelError, match=r"of which two are called a\.b"):
        network_outputs(returned(3), [returned(2)])


def test_a_network_without_rows_gives_a_hook_nothing() -> None:
    with pytest.raises(ModelError, match="no tensor in it has a row for each row and sizes"):
        given(torch.tensor(1.0), torch.tensor(1.0))


@pytest.mark.parametrize("backend", ["eager", "torchscript"])
def test_the_network_is_checked_as_it_is_and_the_hook_gets_its_tensors(backend: str) -> None:
    served = opened(backend=backend)
    found = served.runner.run([{"x": np.array([[7, 0], [8, 0]], np.float32)}])
    assert {name: array.tolist() for name, array in found.items()} == {"number": [[14], [16]], "kind": [0, 0]}
    assert served.outputs_read.startswith("by postprocess, from number FP32 [-1, 1], kind FP32 [-1]; without mean")
    assert served.postprocess is not None
    assert served.postprocess(found)["json"] == ['{"n": 14}', '{"n": 16}']


class OfSixtyFour(nn.Module):
    def forward(self, x: Torch) -> Torch:
        return x.double()[:, :1]


def of_sixty_four() -> Any:
    return lambda rows: {"half": rows["output"] / 2}


def test_a_hook_may_return_fp64_of_a_network_of_fp32_and_a_network_fp64_of_its_own() -> None:
    half = [{"name": "half", "datatype": "FP64", "shape": [-1, 1]}]
    served = opened(source={"factory": f"{HERE}:OfSixtyFour"}, postprocess=f"{HERE}:of_sixty_four", outputs=half)
    assert (served.precision, served.runner.outputs[0].datatype) == ("fp32", "FP64")


def without_a_key() -> Any:
    return lambda rows: {"json": rows["logits"]}


def in_place() -> Any:
    def run(rows: Rows) -> Any:
        rows["number"][:] = 0
        return {}

    return run


def one_row_only() -> Any:
    return lambda _: {"json": ["a"], "square": np.zeros(1, np.float32)}


@pytest.mark.parametrize(
    "hook, said",
    [
        ("without_a_key", r"postprocess raised KeyError: 'logits' \(tests/models/test_postprocess.py, line"),
        ("in_place", "postprocess raised ValueError: assignment destination is read-only"),
        ("one_row_only", r"postprocess returned 'json' with the sizes \[1\] for 3 rows"),
    ],
)
def test_a_hook_that_breaks_its_contract_ends_the_start(hook: str, said: str) -> None:
    with pytest.raises(ModelError, match=said):
        opened(postprocess=f"{HERE}:{hook}", backend="eager")


@pytest.mark.parametrize(
    "keys, said",
    [
        ({"postprocess": None}, "output 'json' must be numeric"),
        ({"outputs": [{**JSON[0], "from": "number"}]}, "output 'json' has `from`, but postprocess returns the outputs"),
        ({"handler": f"{SERVICES}:Both"}, "handler stands for preprocess and postprocess"),
        ({"postprocess": None, "preprocess": "a.b:c", "handler": "a.b:C"}, "handler stands for preprocess and"),
    ],
)
def test_a_config_that_cannot_be_meant_is_refused(keys: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        config(**keys)


def handled(name: str, **keys: Any) -> ModelConfig:
    return config(**{"postprocess": None, "handler": f"{SERVICES}:{name}", "inputs": TEXT, "outputs": LENGTH, **keys})


def test_a_handler_is_built_once_for_both_hooks() -> None:
    hooks = hooks_of(handled("Both"))
    assert hooks.preprocess is not None
    assert hooks.postprocess is not None
    assert hooks.preprocess.function.__self__ is hooks.postprocess.function.__self__  # type: ignore[attr-defined]
    rows: dict[str, Array] = {"text": np.array([b"2"], object)}
    assert hooks.preprocess(rows, {"factor": 3})["x"].tolist() == [[6, 0]]
    assert hooks.postprocess({"number": np.ones((1, 1))}, {"unit": "km"})["length"] == ["1 km x1"]


@pytest.mark.parametrize(
    "name, keys, said",
    [
        ("Before", {}, "handler .*:Before has preprocess, and output 'length' must be numeric"),
        ("After", {}, "handler .*:After has postprocess, and a BYTES input needs preprocess"),
        ("Neither", {}, "handler .*:Neither returned a Neither without them\nhelp: it is built once"),
        ("NoMethod", {}, "handler .*:NoMethod: its postprocess is a int\nhelp: make it a method"),
        ("Both", {"outputs": [{**LENGTH[0], "from": "number"}]}, "output 'length' has `from`"),
        ("absent", {}, "has no 'absent'"),
    ],
)
def test_a_handler_that_lacks_what_the_config_needs_is_refused(name: str, keys: dict[str, Any], said: str) -> None:
    with pytest.raises(ModelError, match=said):
        hooks_of(handled(name, **keys))


def test_a_handler_with_one_of_the_two_is_enough_where_the_other_is_not_needed() -> None:
    numbers = [{"name": "number", "datatype": "FP32", "shape": [-1, 1]}]
    assert hooks_of(handled("Before", outputs=numbers)).postprocess is None
    own = {"inputs": config().model_dump()["inputs"]}
    assert hooks_of(handled("After", **own)).preprocess is None


@pytest.mark.parametrize(
    "function, takes",
    [
        (lambda rows: rows, False),
        (lambda rows, parameters: (rows, parameters), True),
        (lambda rows, anything: (rows, anything), True),
        (lambda rows, parameters=None: (rows, parameters), True),
        (lambda rows, words=3: (rows, words), False),
        (lambda rows, *more: (rows, more), False),
        (lambda rows, *, words=3: (rows, words), False),
        (dict, False),
        (nn.Identity(), False),
    ],
)
def test_a_second_parameter_gets_those_of_the_request(function: Any, takes: bool) -> None:
    assert hook_of(function).takes_parameters is takes


def letters() -> Callable[[Rows], Any]:
    """Return the best letter of each frame, as text."""

    def run(rows: Rows) -> dict[str, Any]:
        assert rows["logits"].shape[1] == rows["frames"].max()
        best = [row[:count].argmax(-1) for row, count in zip(rows["logits"], rows["frames"], strict=True)]
        return {"text": ["".join("abcdef"[each] for each in row) for row in best]}

    return run


def recordings() -> list[Rows]:
    """Return sounds of several lengths, each with its length."""
    random = np.random.default_rng(0)
    return [{"sound": random.normal(size=(1, size)).astype(np.float32)} for size in (80, 61, 47, 80)]


def with_length() -> Callable[[Rows], Rows]:
    def run(rows: Rows) -> Rows:
        sound = rows["sound"]
        return {"samples": sound, "length": np.full(len(sound), sound.shape[1], np.int64)}

    return run


def test_a_hook_gets_a_size_that_follows_no_dimension_by_the_count_beside_it() -> None:
    here = "tests.models.test_postprocess"
    served = opened(
        source={"factory": "tests.models.open_networks:Speech"},
        inputs=[{"name": "sound", "datatype": "FP32", "shape": [-1, "time"]}],
        outputs=[{"name": "text", "datatype": "BYTES", "shape": [-1]}],
        preprocess=f"{here}:with_length",
        postprocess=f"{here}:letters",
        example=f"{here}:recordings",
        dims={"time": {"sizes": [50, 80]}},
    )
    assert "logits FP32 [-1, frames, 6], frames INT64 [-1]" in served.outputs_read
    requests = [{"samples": np.ones((1, size), np.float32), "length": np.array([size])} for size in (80, 47)]
    second = {name: each[1:] for name, each in served.runner.run(requests).items()}
    assert served.runner.cut is not None
    own = served.runner.cut(requests[1], second)
    assert own["logits"].shape[1] == own["frames"][0] == 3
