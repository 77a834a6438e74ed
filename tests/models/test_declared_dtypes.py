"""Datatypes: the arithmetic is the declared one, what is returned fits what is declared, and NaN equals nothing."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from configs.loader import ConfigError, parse_model
from models.errors import ModelError
from models.parity import DeviationError, Tolerance, compare, deviation
from models.signature import Tensor
from models.startup.open_model import OpenedModel, open_model
from models.startup.precision import refuse_without_fp64
from tests.models.test_open_model import config

NETWORKS = "tests.models.strict_networks"
EXTREMES = [1.7976931348623157e308, -0.0, 5e-324, 0.1]


@pytest.fixture(autouse=True)
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PITSTOP_CACHE", str(tmp_path))


def tensor(name: str, datatype: str, size: int = 4) -> list[dict[str, Any]]:
    return [{"name": name, "datatype": datatype, "shape": [-1, size]}]


def opened(network: str, taken: str, given: str, **keys: Any) -> OpenedModel:
    signature = {"inputs": tensor("x", taken), "outputs": tensor("y", given)}
    return open_model(config(network, **{**signature, **keys}), "cpu")


@pytest.mark.parametrize("backend", ["eager", "torchscript"])
def test_fp64_is_computed_in_fp64_to_the_last_bit(backend: str) -> None:
    served = opened("tests.models.networks:Identity", "FP64", "FP64", backend=backend)
    assert served.runner.run([{"x": np.array([EXTREMES])}])["y"].tolist() == [EXTREMES]
    assert served.summary()["precision"] == "fp64"
    assert served.checks.compilation.precision_reason == "in fp64: input 'x' is declared FP64"


@pytest.mark.parametrize("taken, given", [("FP32", "FP32"), ("FP64", "FP64"), ("FP32", "FP64")])
def test_a_network_with_float64_weights_runs_in_fp64(taken: str, given: str) -> None:
    assert opened(f"{NETWORKS}:Doubled", taken, given).precision == "fp64"


def test_an_output_declared_fp64_makes_a_float32_network_compute_in_fp64() -> None:
    served = opened("tests.models.networks:Sharp", "FP32", "FP64")
    small = np.array([[2.0**-40, 0, 0, 0]], np.float32)
    assert served.runner.run([{"x": small}])["y"][0, 0] == pytest.approx(2.0**-40, rel=0.1)


def test_a_network_that_casts_by_itself_runs_as_it_is_written() -> None:
    served = opened(f"{NETWORKS}:Mixed", "FP32", "FP32")
    assert served.checks.compilation.precision_reason.startswith("in its own dtypes")
    assert served.precision == "fp32"


def test_an_export_keeps_its_dtypes_and_is_fed_as_declared(tmp_path: Path) -> None:
    from tests.models.strict_networks import Doubled

    example = torch.ones(2, 4, dtype=torch.float64)
    rows = torch.export.Dim("rows", min=1, max=64)
    program = torch.export.export(Doubled().eval(), (example,), dynamic_shapes=({0: rows},))
    torch.export.save(program, tmp_path / "m.pt2")
    served = opened("", "FP64", "FP64", source={"exported_program": str(tmp_path / "m.pt2")}, backend="eager")
    assert served.precision == "fp64"


def test_fp64_beside_a_coarser_precision_is_refused_before_anything_starts() -> None:
    with pytest.raises(ConfigError, match="'x' is declared FP64, which precision: bf16 cannot represent"):
        parse_model(config().model_dump(mode="json") | {"inputs": tensor("x", "FP64"), "precision": "bf16"})
    with pytest.raises(ConfigError, match="'y' is declared FP64, which precision: fp16 cannot represent"):
        parse_model(config().model_dump(mode="json") | {"outputs": tensor("y", "FP64"), "precision": "fp16"})


def test_a_device_without_float64_is_refused_by_name() -> None:
    with pytest.raises(ModelError, match="the device mps cannot compute in it\nhelp: use device: cpu"):
        refuse_without_fp64(torch.device("mps"))


@pytest.mark.parametrize(
    "network, taken, given, said",
    [
        ("tests.models.networks:Identity", "FP32", "INT64", "returns float32, the config says INT64\nhelp: .* FP32"),
        ("tests.models.networks:Identity", "BOOL", "UINT8", "returns bool, the config says UINT8\nhelp: .* BOOL"),
        ("tests.models.networks:Identity", "INT64", "FP32", "returns int64, the config says FP32\nhelp: .* INT64"),
        (f"{NETWORKS}:Wide", "INT32", "INT32", "returns int64, the config says INT32, which cannot hold it"),
        ("tests.models.networks:Identity", "INT8", "UINT8", "returns int8, the config says UINT8, which cannot"),
        (f"{NETWORKS}:Single", "FP64", "FP64", "returns float32, the config says FP64"),
        (f"{NETWORKS}:Scalar", "FP32", "FP32", "returns a single number.*\nhelp: return one value a row"),
    ],
)
def test_an_output_that_is_not_what_is_declared_is_refused_with_both(
    network: str, taken: str, given: str, said: str
) -> None:
    with pytest.raises(ModelError, match=said):
        opened(network, taken, given)


def test_a_wider_integer_and_a_narrower_float_may_be_declared() -> None:
    assert opened("tests.models.networks:Identity", "INT32", "INT64").checks.compilation.code == "passed"
    assert opened("tests.models.networks:Identity", "FP32", "FP16").checks.compilation.code == "passed"


def test_a_dtype_that_forward_cannot_take_is_named_with_what_it_gets() -> None:
    with pytest.raises(
        ModelError, match=r"compare inputs in the config .* it gets x int64 \(declared INT64\) of \[\d+, 4\]"
    ):
        opened("tests.models.networks:Linear", "INT64", "FP32", outputs=tensor("y", "FP32", 2))


def test_a_network_that_answers_nan_to_everything_is_refused_by_the_output() -> None:
    outputs = [*tensor("copy", "FP32"), *tensor("scaled", "FP32")]
    with pytest.raises(ModelError, match=r"output 'scaled': eager gives no finite number.*\nhelp: look for NaN"):
        opened(f"{NETWORKS}:NotANumber", "FP32", "FP32", outputs=outputs)


def test_a_network_may_be_undefined_for_some_rows() -> None:
    assert opened(f"{NETWORKS}:Root", "FP32", "FP32").checks.compilation.code == "passed"
    with pytest.raises(ModelError, match="low and high"):
        opened(f"{NETWORKS}:Root", "FP32", "FP32", inputs=[{**tensor("x", "FP32")[0], "low": -2, "high": -1}])


NAN, INF = float("nan"), float("inf")


@pytest.mark.parametrize(
    "found, expected, off",
    [
        ([1.0, 2.0], [1.0, 4.0], 0.5),
        ([NAN, NAN], [NAN, NAN], None),
        ([INF, -INF], [INF, -INF], None),
        ([], [], None),
        ([NAN, 1.0], [NAN, 1.0], 0.0),
        ([NAN, 1.0], [2.0, 1.0], INF),
        ([2.0, 1.0], [NAN, 1.0], INF),
        ([-INF, 1.0], [INF, 1.0], INF),
        ([INF, 1.0], [NAN, 1.0], INF),
        ([1.7e308], [-1.7e308], 2.0),
    ],
)
def test_not_finite_is_not_equal_and_nothing_compared_is_not_zero(
    found: list[float], expected: list[float], off: float | None
) -> None:
    pair = [torch.tensor(each, dtype=torch.float64) for each in (found, expected)]
    assert deviation(*pair) == (off if off is None else pytest.approx(off))


def test_compare_names_only_what_it_compared() -> None:
    outputs = (Tensor("a", "FP32", (-1,)), Tensor("b", "FP32", (-1,)))
    pair = [torch.tensor([1.0]), torch.tensor([NAN])]
    assert compare(pair, pair, outputs, Tolerance(0.1, 0), "it", "do so") == {"a": 0.0}
    with pytest.raises(DeviationError, match="output 'a': it differs by 1 "):
        compare([torch.tensor([2.0]), pair[1]], pair, outputs, Tolerance(0.1, 0), "it", "do so")


def test_a_network_that_casts_is_told_that_it_does_not_run_in_the_precision_of_the_config() -> None:
    said = r"the model fails in bf16 on .*BFloat16.*\nhelp: the network does not run in bf16 .* fp32; .*x\.float"
    with pytest.raises(ModelError, match=said):
        opened(f"{NETWORKS}:Casts", "FP32", "FP32", precision="bf16", backend="eager")
