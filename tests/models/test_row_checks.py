"""Chance, state, padding and company are found whatever `tolerance` says; what is waived is shown as waived."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from models.errors import ModelError
from models.startup.check_results import CoBatchedRows, Padding, line
from models.startup.open_model import OpenedModel, open_model
from tests.models.strict_networks import LastStep
from tests.models.test_open_model import config

NETWORKS = "tests.models.strict_networks"
SAME = [{"name": "y", "datatype": "FP32", "shape": [-1, 4]}]


@pytest.fixture(autouse=True)
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PITSTOP_CACHE", str(tmp_path))


def opened(network: str, **keys: Any) -> OpenedModel:
    return open_model(config(f"{NETWORKS}:{network}", **{"outputs": SAME, **keys}), "cpu")


@pytest.mark.parametrize("network", ["Noise", "Stateful", "Remembers"])
@pytest.mark.parametrize("backend", ["eager", "torchscript"])
@pytest.mark.parametrize(
    "keys", [{}, {"tolerance": 10}, {"tolerance": 10, "max_batch_size": 1}, {"batch_tolerance": 10}]
)
def test_chance_and_state_are_refused_as_such_whatever_is_tolerated(
    network: str, backend: str, keys: dict[str, Any]
) -> None:
    with pytest.raises(ModelError, match=r"asked twice.*\nhelp: the forward draws random numbers or keeps state"):
        opened(network, backend=backend, **keys)


def test_a_drift_far_below_the_tolerance_is_state_all_the_same() -> None:
    with pytest.raises(ModelError, match="asked twice"):
        opened("Counts", backend="eager")


@pytest.mark.parametrize("backend", ["eager", "torchscript"])
def test_what_a_network_keeps_of_the_rows_that_it_saw_first_is_found(backend: str) -> None:
    with pytest.raises(ModelError, match=r"asked after other rows than at first.*\nhelp: .* what it saw first"):
        opened("LessItsFirst", backend=backend)


def test_large_numbers_beside_a_row_change_nothing_unless_the_config_bounds_them() -> None:
    with pytest.raises(ModelError, match="a row alone and in a batch"):
        opened("SilencedBySum", backend="eager")
    bounded = [{"name": "x", "datatype": "FP32", "shape": [-1, 4], "low": -1, "high": 1}]
    opened("SilencedBySum", backend="eager", inputs=bounded)


def test_a_network_that_wants_two_rows_is_served_where_batch_sizes_say_so() -> None:
    served = opened("TwoAtLeast", backend="eager", batch_sizes=[2, 4], max_batch_size=4)
    rows = np.ones((1, 4), np.float32)
    assert (served.runner.run([{"x": rows}])["y"] == 2 * rows).all()


STEPS: dict[str, Any] = {
    "inputs": [{"name": "x", "datatype": "FP32", "shape": [-1, -1, 8]}],
    "outputs": [{"name": "y", "datatype": "FP32", "shape": [-1, 2]}],
}


@pytest.mark.parametrize("max_batch_size", [1, 4])
@pytest.mark.parametrize("lengths", [[16], [32], [16, 32], [15, 16, 32]])
@pytest.mark.parametrize("keys", [{}, {"tolerance": 10}])
def test_a_network_that_reads_its_padding_is_refused_however_batches_are_cut(
    max_batch_size: int, lengths: list[int], keys: dict[str, Any]
) -> None:
    with pytest.raises(ModelError, match=r"padded to .* and unpadded, differs by") as caught:
        opened("LastStep", **STEPS, max_batch_size=max_batch_size, lengths=lengths, backend="eager", **keys)
    assert "mask it in forward, or fix the size in shape" in str(caught.value)
    assert "max_batch_size" not in str(caught.value)
    assert "batch_tolerance" not in str(caught.value)


@pytest.mark.parametrize("network", ["Highest", "Spread"])
@pytest.mark.parametrize("keys", [{"lengths": [16]}, {"lengths": [8, 16, 32]}, {"lengths": [16], "max_batch_size": 1}])
def test_padding_that_only_some_rows_or_lengths_show_is_found(network: str, keys: dict[str, Any]) -> None:
    with pytest.raises(ModelError, match=r"padded to .* and unpadded, differs by"):
        opened(network, **STEPS, backend="eager", **keys)


def test_a_length_that_nothing_is_padded_to_needs_no_proof() -> None:
    served = opened("LastStep", **STEPS, max_batch_size=1, lengths=[1, 2], backend="eager")
    assert served.checks.padding == Padding("not_applicable", reason="nothing is padded")
    rows = np.ones((1, 2, 8), np.float32)
    np.testing.assert_allclose(served.runner.run([{"x": rows}])["y"], _eager(rows), rtol=1e-5)


def test_a_network_that_takes_no_shorter_row_has_no_open_size() -> None:
    keys = {**STEPS, "inputs": [{"name": "x", "datatype": "FP32", "shape": [-1, -1]}]}
    keys["outputs"] = [{"name": "y", "datatype": "FP32", "shape": [-1, 1]}]
    told = r"eager accepts no unpadded row shorter than 8.*\nhelp: write the size into shape"
    with pytest.raises(ModelError, match=told):
        opened("OneLength", **keys, lengths=[8])


def test_what_a_start_says_of_padding_and_company_is_what_it_looked_at() -> None:
    alone = opened("Wide", max_batch_size=1, inputs=INTEGERS, outputs=WIDE).checks.co_batched_rows
    assert alone == CoBatchedRows("not_applicable", reason="a forward takes one row")
    beside = opened("Wide", inputs=INTEGERS, outputs=WIDE).checks.co_batched_rows
    assert beside == CoBatchedRows("passed", deviation=0.0)


INTEGERS = [{"name": "x", "datatype": "INT32", "shape": [-1, 4]}]
WIDE = [{"name": "y", "datatype": "INT64", "shape": [-1, 4]}]
INT8: dict[str, Any] = {
    "inputs": [{"name": "x", "datatype": "FP32", "shape": [-1, 64]}],
    "outputs": [{"name": "y", "datatype": "FP32", "shape": [-1, 10]}],
    "max_batch_size": 4,
}


@pytest.mark.parametrize("keys", [{}, {"tolerance": 10}])
def test_int8_scaled_by_the_batch_is_refused_with_the_key_that_allows_it(keys: dict[str, Any]) -> None:
    with pytest.raises(ModelError, match=r"alone and in a batch differs .*\n.* batch_tolerance: 0\.0\d"):
        opened("int8", **INT8, **keys)


def test_what_batch_tolerance_allows_is_shown_as_allowed() -> None:
    found = opened("int8", **INT8, batch_tolerance=0.05).checks.co_batched_rows
    assert (found.code, found.waived_by, found.allowed) == ("waived", "batch_tolerance", 0.05)
    assert "allowed by batch_tolerance: 0.05" in line(found)


def test_rows_that_influence_each_other_much_are_not_told_to_be_allowed() -> None:
    with pytest.raises(ModelError, match="a row alone and in a batch") as caught:
        open_model(config("tests.models.networks:BatchStatistics", tolerance=10), "cpu")
    assert "batch_tolerance" not in str(caught.value)


def test_a_lone_row_that_is_padded_with_rows_is_compared_with_eager() -> None:
    with pytest.raises(ModelError, match="a row padded to 8 rows"):
        opened("TimesRows", batch_sizes=[8])


def _eager(rows: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    import torch

    with torch.inference_mode():
        found: np.ndarray[Any, Any] = LastStep().eval()(torch.from_numpy(rows)).numpy()
    return found


BETWEEN = {
    "inputs": [{"name": "x", "datatype": "FP32", "shape": ["batch", "n"]}],
    "outputs": [{"name": "y", "datatype": "FP32", "shape": ["batch", "n"]}],
    "dims": {"n": {"sizes": [4, 8], "pad": "none"}},
}


@pytest.mark.parametrize(
    "keys, cure",
    [
        ({"precision": "bf16", "backend": "eager"}, "so the cause is bf16: use precision: fp32"),
        ({"precision": "bf16", "backend": "auto"}, "so the cause is bf16: use precision: fp32"),
        ({"backend": f"{NETWORKS}:wrong_between"}, "so the cause is what was compiled: use backend: eager"),
        (
            {"backend": f"{NETWORKS}:wrong_between", "precision": "bf16"},
            "so the cause is bf16 or what was compiled: use precision: fp32, or backend: eager",
        ),
    ],
)
def test_what_only_the_prepared_forward_answers_otherwise_is_told_by_its_precision_and_its_backend(
    keys: dict[str, Any], cure: str
) -> None:
    with pytest.raises(ModelError, match="which no batch was warmed with") as unpadded:
        open_model(config(f"{NETWORKS}:CoarseBetween", **{**BETWEEN, **keys}), "cpu")
    assert unpadded.value.help.startswith(f"eager fp32 answers as it should, {cure}; it was asked")


def test_padding_that_only_what_was_compiled_reads_is_not_blamed_on_the_network() -> None:
    keys = {**BETWEEN, "dims": {"n": {"sizes": [4, 8]}}, "backend": f"{NETWORKS}:counts_zeros"}
    with pytest.raises(ModelError, match="padded to 4 and unpadded") as padded:
        open_model(config(f"{NETWORKS}:CoarseBetween", **keys), "cpu")
    assert "so the cause is what was compiled: use backend: eager" in padded.value.help


@pytest.mark.parametrize(
    "keys, cure",
    [
        ({}, "use backend: eager;"),
        ({"precision": "bf16"}, "choose a finer precision"),
        ({"precision": "int8_weights"}, "choose a finer precision"),
    ],
)
def test_answers_that_deviate_at_a_warmed_size_are_told_by_precision_and_backend(
    keys: dict[str, Any], cure: str
) -> None:
    if "int8" in keys.get("precision", ""):
        pytest.importorskip("torchao")
    with pytest.raises(ModelError, match=rf"rows, {keys.get('precision', 'fp32')}, differs") as error:
        open_model(config(backend=f"{NETWORKS}:wrong_in_all", **keys), "cpu")
    assert error.value.help.startswith(cure)
    assert "torchscript:" not in error.value.help


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_rows_that_change_in_company_may_change_for_a_coarser_precision(precision: str) -> None:
    with pytest.raises(ModelError, match="rows influence each other") as error:
        open_model(config("tests.models.networks:BatchStatistics", precision=precision, backend="eager"), "cpu")
    assert ("or use precision: fp32, if bf16 is the cause" in error.value.help) == (precision == "bf16")
