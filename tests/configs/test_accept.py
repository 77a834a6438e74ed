"""`accept` and `precision`: what a config may ask for, and what makes no sense in it."""

from typing import Any

import pytest
from pydantic import ValidationError

from configs.lint.applications import application_rules
from configs.precisions import PRECISIONS, tried_on
from configs.schema import ModelConfig
from models.parity import ROUNDINGS, TOLERANCES
from models.startup.prepare import DTYPES
from pitstop.audit.step import setting_of
from tests.models.test_open_model import config


def refused(**keys: Any) -> str:
    with pytest.raises(ValidationError) as caught:
        config(**keys)
    return str(caught.value)


def test_one_measure_is_enough_and_none_is_refused() -> None:
    found = config(precision="auto", accept={"agreement": 0.999}).accept
    assert found is not None
    assert (found.agreement, found.cosine, found.tolerance, found.accuracy) == (0.999, None, None, None)
    for none in ({}, {"agreement": None}):
        assert "accept has no measure\nhelp: give one at least of agreement, cosine" in refused(accept=none)


@pytest.mark.parametrize(
    "accept",
    [
        {"agreement": 1.1},
        {"cosine": 2},
        {"tolerance": 0},
        {"accuracy": {"data": "rows.npz"}},
        {"accuracy": {"data": "rows.npz", "at_least": 0}},
        {"accuracy": {"data": "", "at_least": 0.5}},
        {"agrement": 0.9},
    ],
)
def test_what_no_answer_can_be_held_to_is_refused(accept: dict[str, Any]) -> None:
    assert refused(accept=accept)


def test_answers_that_are_drawn_cannot_be_accepted() -> None:
    assert "random: true lets each draw numbers of its own" in refused(random=True, accept={"cosine": 0.9})


@pytest.mark.parametrize("kind", ["torchscript", "exported_program"])
@pytest.mark.parametrize("precision", ["int8_dynamic", "int8_weights"])
def test_the_layers_of_a_file_are_not_quantised(kind: str, precision: str) -> None:
    assert "this source is a file" in refused(source={kind: "model.pt2"}, precision=precision)
    assert config(source={"factory": "a:b"}, precision=precision).precision == precision


@pytest.mark.parametrize("precision", ["bf16", "int8_dynamic", "int8_weights"])
def test_what_is_declared_as_fp64_is_in_no_coarser_precision_but_may_be_auto(precision: str) -> None:
    inputs = [{"name": "x", "datatype": "FP64", "shape": [-1, 4]}]
    assert "cannot represent" in refused(inputs=inputs, precision=precision)
    assert config(inputs=inputs, precision="auto").precision == "auto"


def test_every_precision_has_a_dtype_and_a_tolerance() -> None:
    named = set(ModelConfig.model_json_schema()["properties"]["precision"]["enum"]) - {"auto"}
    assert named == set(PRECISIONS) == set(DTYPES) == set(TOLERANCES) == set(ROUNDINGS)


def test_an_audit_begins_with_fp32_where_the_start_is_to_choose() -> None:
    assert setting_of(config(precision="auto")).precision == setting_of(config()).precision == "fp32"
    assert setting_of(config(precision="bf16")).precision == "bf16"


def test_a_device_is_tried_with_what_it_can_compute_in() -> None:
    assert [each.name for each in tried_on("cuda")] == ["fp16", "bf16", "tf32", "fp32"]
    assert [each.name for each in tried_on("cpu")] == ["bf16", "fp32"]
    assert [each.name for each in tried_on("cpu", quantized=True)] == ["bf16", "int8_dynamic", "int8_weights", "fp32"]


@pytest.mark.parametrize(
    "args, told",
    [
        ({"precision": "auto"}, ["is auto, and nothing says which answers are near enough: it stays at fp32"]),
        ({"precision": "auto", "accept": {"cosine": 0.9}}, []),
        ({"precision": "tf32", "device": "cpu"}, ["is tf32, which only a GPU has: on a CPU it is fp32"]),
        ({"precision": "tf32"}, []),
        ({"accept": {"tolerance": 2.0}}, ["is 2: an answer that is wrong by its whole value would pass"]),
    ],
)
def test_a_precision_that_does_nothing_is_told(args: dict[str, Any], told: list[str]) -> None:
    app = {"name": "m", "route_prefix": "/v2/models/m", "import_path": "deployments.app:model"}
    raw = {"applications": [{**app, "args": {"name": "m", **args}}]}
    found = [each for each in application_rules(raw) if each.keys[2:3] == ("args",)]
    assert ([each.what for each in found], {each.severity for each in found} - {"warning"}) == (told, set())
