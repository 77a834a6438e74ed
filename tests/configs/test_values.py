"""No value of another type, and none that breaks in use, is a setting."""

import datetime
import math
from collections.abc import Iterator
from typing import Any, get_args, get_origin

import pytest
import yaml
from pydantic import BaseModel

from configs.key_paths import models_in
from configs.parse import problems_in
from configs.schema import ModelConfig, RootConfig, Tunables

TENSOR = {"name": "x", "datatype": "FP32", "shape": [-1, 4]}
NEEDED: dict[type[BaseModel], dict[str, Any]] = {
    ModelConfig: {
        "name": "net",
        "source": {"factory": "models.zoo.mlp:Mlp"},
        "inputs": [TENSOR],
        "outputs": [{**TENSOR, "name": "y"}],
    },
    Tunables: {},
    RootConfig: {},
}


def fields(model: type[BaseModel], above: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Yield every field of a class and of those within it: its path and its annotation."""
    for name, field in model.model_fields.items():
        yield (*above, name), field.annotation
        for inner in models_in(field.annotation):
            yield from fields(inner, (*above, name))


def kinds(annotation: Any) -> set[Any]:
    if get_origin(annotation) is tuple:
        return {list}
    found = {annotation}
    for each in get_args(annotation):
        found |= kinds(each)
    return found


NUMBERS = [
    pytest.param(model, path, id=".".join(path))
    for model in NEEDED
    for path, annotation in fields(model)
    if kinds(annotation) & {int, float} and not kinds(annotation) & {list}
]


_ABOVE: dict[str, dict[str, Any]] = {
    "canary": {"application": "other", "percent": 1},
    "accuracy": {"data": "rows.npz", "at_least": 0.5},
}


def with_value(model: type[BaseModel], path: tuple[str, ...], value: object) -> dict[str, Any]:
    """Return valid data of a class, but for this value."""
    data: dict[str, Any] = {**NEEDED[model]}
    if len(path) == 1:
        return {**data, path[0]: value}
    if len(path) == 3:
        return {**data, path[0]: {path[1]: {**_ABOVE[path[1]], path[2]: value}}}
    above = data.get(path[0], _ABOVE.get(path[0], {}))
    if isinstance(above, list):
        return {**data, path[0]: [{**above[0], path[1]: value}]}
    return {**data, path[0]: {**above, path[1]: value}}


def wrong(model: type[BaseModel], data: dict[str, Any]) -> list[str]:
    return [f"{problem.where}: {problem.what}".removeprefix(": ") for problem in problems_in(model, data, data)]


def test_the_data_without_a_wrong_value_is_accepted() -> None:
    assert [wrong(model, data) for model, data in NEEDED.items()] == [[], [], []]
    assert len(NUMBERS) >= 17


@pytest.mark.parametrize("value", [True, False, "5", "1e3", math.inf, -math.inf, math.nan, 10**400, [1], {}], ids=repr)
@pytest.mark.parametrize("model, path", NUMBERS)
def test_a_number_is_a_finite_number_and_nothing_else(
    model: type[BaseModel], path: tuple[str, ...], value: object
) -> None:
    (told,) = wrong(model, with_value(model, path, value))
    assert path[-1] in told


@pytest.mark.parametrize("key", ["batch_sizes", "lengths"])
@pytest.mark.parametrize("value", [[True, 32], ["1", 32], [1.0, 32], "32", {1: 32}, 32])
def test_a_list_of_sizes_holds_whole_numbers(key: str, value: object) -> None:
    assert wrong(ModelConfig, {**NEEDED[ModelConfig], key: value})


@pytest.mark.parametrize("shape", [[-1, True], ["-1", 4], [-1, 4.0], [-1, 0], [-1, -2], [-1, 10**12], [], "-1", [4]])
def test_a_shape_holds_sizes_that_a_tensor_can_have(shape: object) -> None:
    assert wrong(ModelConfig, {**NEEDED[ModelConfig], "inputs": [{**TENSOR, "shape": shape}]})


@pytest.mark.parametrize("value", [1, 0, "yes", "true", 1.0])
@pytest.mark.parametrize("model, key", [(ModelConfig, "cuda_graphs"), (Tunables, "check_finite")])
def test_a_switch_is_true_or_false(model: type[BaseModel], key: str, value: object) -> None:
    assert wrong(model, {**NEEDED[model], key: value})


@pytest.mark.parametrize(
    "model, changes, told",
    [
        (ModelConfig, {"num_gpus": 1.5}, "num_gpus: is 1.5: above 1 Ray reserves only whole GPUs"),
        (ModelConfig, {"num_gpus": 0}, "num_gpus: input should be greater than"),
        (ModelConfig, {"num_cpus": 1e300}, "num_cpus: input should be less than"),
        (ModelConfig, {"max_batch_size": 65537}, "max_batch_size: input should be less than"),
        (ModelConfig, {"name": "n" * 201}, "name: string should have at most 200 characters"),
        (ModelConfig, {"name": ""}, "name: should match"),
        (ModelConfig, {"accelerator_type": ""}, "accelerator_type: string should have at least 1"),
        (ModelConfig, {"source": {"factory": "a:b", "weights": ""}}, "source.weights: string should have at least 1"),
        (ModelConfig, {"inputs": [{**TENSOR, "shape": [-1, 2**40]}]}, "a batch of 32 rows of 'x' would take"),
        (Tunables, {"forward_timeout_s": 0.001}, "forward_timeout_s: input should be greater than or equal to 1"),
        (Tunables, {"request_timeout_s": 1e-9}, "request_timeout_s: input should be greater than"),
        (Tunables, {"request_timeout_s": 1e12}, "request_timeout_s: input should be less than"),
        (Tunables, {"max_body_mib": 1e-9}, "max_body_mib: input should be greater than"),
        (Tunables, {"retry_after_s": 10**9}, "retry_after_s: input should be less than"),
        (
            Tunables,
            {"batch_wait_timeout_s": 0.5, "request_timeout_s": 0.5},
            "batch_wait_timeout_s (0.5) is not below request_timeout_s (0.5)",
        ),
        (Tunables, {"canary": {"application": "b", "percent": 101}}, "canary.percent: input should be less than"),
        (RootConfig, {"grpc_port": 0}, "grpc_port: input should be greater than"),
        (RootConfig, {"grpc_port": 65536}, "grpc_port: input should be less than"),
        (RootConfig, {"grpc_host": "127.0.0.1:8001"}, "grpc_host: '127.0.0.1:8001' is not an address"),
        (RootConfig, {"grpc_host": "http://localhost"}, "grpc_host: 'http://localhost' is not an address"),
        (RootConfig, {"server_name": ""}, "server_name: string should have at least 1"),
    ],
)
def test_a_value_that_breaks_in_use_is_refused(model: type[BaseModel], changes: dict[str, Any], told: str) -> None:
    (found,) = wrong(model, {**NEEDED[model], **changes})
    assert found.startswith(told)


@pytest.mark.parametrize("value", [0.5, 1, 2, 8.0])
def test_a_share_of_a_gpu_and_whole_gpus_are_accepted(value: float) -> None:
    assert wrong(ModelConfig, {**NEEDED[ModelConfig], "num_gpus": value}) == []


@pytest.mark.parametrize("value", ["localhost", "0.0.0.0", "::", "fe80::1%eth0", "node-1.example"])
def test_an_address_to_listen_on_is_accepted(value: str) -> None:
    assert wrong(RootConfig, {"grpc_host": value}) == []


@pytest.mark.parametrize("name", ["", " x", "x ", "a\nb", "a\x00b"])
def test_the_name_of_a_tensor_can_be_printed(name: str) -> None:
    assert wrong(ModelConfig, {**NEEDED[ModelConfig], "inputs": [{**TENSOR, "name": name}]})


@pytest.mark.parametrize(
    "datatype, bounds, told",
    [
        ("UINT8", {"high": 256}, "high is 256, which UINT8 cannot hold"),
        ("UINT8", {"low": -1}, "low is -1, which UINT8 cannot hold"),
        ("INT64", {"low": 5}, "low (5) is above high (1)"),
        ("FP32", {"high": -5}, "low (0) is above high (-5)"),
        ("FP16", {"high": 1e6}, "high is 1000000, which FP16 cannot hold"),
        ("INT32", {"high": 1.5}, "high is 1.5, but INT32 holds whole numbers"),
        ("INT64", {"high": 2**64}, "high is 18446744073709551616, which INT64 cannot hold"),
        ("BOOL", {"high": 1}, "low and high are for numbers"),
    ],
)
def test_bounds_that_no_probe_can_keep_are_refused(datatype: str, bounds: dict[str, float], told: str) -> None:
    (found,) = wrong(ModelConfig, {**NEEDED[ModelConfig], "inputs": [{**TENSOR, "datatype": datatype, **bounds}]})
    assert told in found


@pytest.mark.parametrize(
    "model, changes, help_",
    [
        (Tunables, {"max_batch_size": True}, "YAML reads yes, no, on and off as true and false"),
        (Tunables, {"request_timeout_s": "30s"}, "1000 or 1.0e+3 for 1e3, which YAML reads as text"),
        (ModelConfig, {"version": False}, 'so that YAML does not read true or false: "False"'),
        (ModelConfig, {"version": datetime.date(2026, 1, 2)}, 'so that YAML does not read a date: "2026-01-02"'),
        (ModelConfig, {"cuda_graphs": "maybe"}, "write true or false, without quotes"),
        (ModelConfig, {True: 1}, "put the key in quotes"),
    ],
)
def test_what_yaml_made_of_a_word_is_explained(model: type[BaseModel], changes: dict[Any, Any], help_: str) -> None:
    data = {**NEEDED[model], **changes}
    (problem,) = problems_in(model, data, data)
    assert help_ in problem.help


def tensor(shape: object, **more: object) -> dict[str, Any]:
    return {"inputs": [{**TENSOR, "shape": shape, **more}]}


@pytest.mark.parametrize(
    "model, changes, line",
    [
        (ModelConfig, tensor(["-1 4"]), "shape: [-1, 4]"),
        (ModelConfig, tensor([-1, "3 224", 224]), "shape: [-1, 3, 224, 224]"),
        (ModelConfig, tensor(["batch 3"]), "shape: [batch, 3]"),
        (ModelConfig, tensor(["-1", 4]), "shape: [-1, 4]"),
        (ModelConfig, tensor([-1, "4"]), "shape: [-1, 4]"),
        (ModelConfig, tensor([-1, 4.0]), "shape: [-1, 4]"),
        (ModelConfig, tensor("[-1, 4]"), "shape: [-1, 4]"),
        (ModelConfig, tensor("-1 4"), "shape: [-1, 4]"),
        (ModelConfig, tensor([-1, 4], low="0"), "low: 0"),
        (ModelConfig, tensor([-1, 4], high="2.5"), "high: 2.5"),
        (ModelConfig, {"inputs": TENSOR}, "inputs: [{name: x, datatype: FP32, shape: [-1, 4]}]"),
        (ModelConfig, {"name": "two tower"}, "name: two-tower"),
        (ModelConfig, {"version": "v 1"}, "version: v-1"),
        (ModelConfig, {"num_cpus": "0.5"}, "num_cpus: 0.5"),
        (ModelConfig, {"batch_sizes": "1, 32"}, "batch_sizes: [1, 32]"),
        (ModelConfig, {"batch_sizes": ["1 32"]}, "batch_sizes: [1, 32]"),
        (ModelConfig, {"batch_sizes": 32}, "batch_sizes: [32]"),
        (ModelConfig, {"cuda_graphs": "no"}, "cuda_graphs: false"),
        (Tunables, {"max_batch_size": "8"}, "max_batch_size: 8"),
        (Tunables, {"max_batch_size": 8.0}, "max_batch_size: 8"),
        (Tunables, {"request_timeout_s": "1e3"}, "request_timeout_s: 1000"),
    ],
)
def test_the_help_shows_the_line_as_it_was_meant_and_that_line_is_accepted(
    model: type[BaseModel], changes: dict[str, Any], line: str
) -> None:
    data = {**NEEDED[model], **changes}
    (problem,) = problems_in(model, data, data)
    assert problem.help == f"write `{line}`"
    [(key, value)] = yaml.safe_load(line).items()
    of_tensor = [{**data["inputs"][0], key: value}] if key in ("shape", "low", "high") else None
    assert wrong(model, {**data, **({"inputs": of_tensor} if of_tensor else {key: value})}) == []


UNCLEAR = [tensor(4), tensor([3.224]), tensor("x;y"), {"batch_sizes": "few"}, {"lengths": {1: 32}}, {"num_cpus": "two"}]


@pytest.mark.parametrize("changes", [*UNCLEAR, {"name": "§"}])
def test_where_nothing_tells_what_was_meant_no_line_is_shown(changes: dict[str, Any]) -> None:
    data = {**NEEDED[ModelConfig], **changes}
    assert "`" not in "".join(problem.help.replace("`dims`", "") for problem in problems_in(ModelConfig, data, data))


@pytest.mark.parametrize(
    "datatype, bounds",
    [("INT64", {"high": 2**63 - 1}), ("UINT64", {"high": 2**64 - 1}), ("INT64", {"low": -(2**63), "high": 0})],
)
def test_the_ends_of_a_64_bit_type_are_bounds(datatype: str, bounds: dict[str, int]) -> None:
    assert wrong(ModelConfig, {**NEEDED[ModelConfig], "inputs": [{**TENSOR, "datatype": datatype, **bounds}]}) == []


def test_the_help_of_crossed_bounds_names_the_type_s_own_default() -> None:
    data = {**NEEDED[ModelConfig], "inputs": [{**TENSOR, "datatype": "UINT8", "low": 5, "high": 2}]}
    (problem,) = problems_in(ModelConfig, data, data)
    assert "by default low is 0 and high is 255" in problem.help


@pytest.mark.parametrize(
    "given, path",
    [("logits", "logits"), (1.0, "1.0"), (0, "0"), (-1, "-1"), ("1.10", "1.10"), ("a.-1", "a.-1"), (None, None)],
)
def test_a_path_is_kept_as_it_is_written(given: object, path: str | None) -> None:
    data = with_value(ModelConfig, ("outputs", "from"), given)
    config = ModelConfig.model_validate(data)
    assert config.outputs[0].path == path
    assert ModelConfig.model_validate(config.model_dump(mode="json")) == config
    assert ModelConfig.model_validate_json(config.model_dump_json()) == config


@pytest.mark.parametrize(
    "given, said",
    [
        (1.10, 'in quotes, as "1.10"'),
        (True, "in quotes"),
        ("a..b", "empty step"),
        ("", "empty step"),
        ([0], "names and"),
    ],
)
def test_a_path_that_yaml_may_have_changed_is_refused_by_its_key(given: object, said: str) -> None:
    data = with_value(ModelConfig, ("outputs", "from"), given)
    [problem] = problems_in(ModelConfig, data, data)
    assert problem.where == "outputs[0] (y).from"
    assert said in problem.what + problem.help
