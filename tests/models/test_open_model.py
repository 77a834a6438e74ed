"""What `open_model` refuses, and what it proves. Everything here runs on the CPU."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from configs.schema import ModelConfig
from models.compile.build import Uncompiled, compile_with
from models.errors import ModelError
from models.runtime.layout import Layout
from models.startup.check_results import line
from models.startup.open_model import OpenedModel, open_model
from tests.open_sizes import dims_of

NETWORKS = "tests.models.networks"


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PITSTOP_CACHE", str(tmp_path))
    return tmp_path


def config(network: str = f"{NETWORKS}:Linear", **keys: Any) -> ModelConfig:
    base: dict[str, Any] = {
        "name": "m",
        "source": {"factory": network},
        "inputs": [{"name": "x", "datatype": "FP32", "shape": [-1, 4]}],
        "outputs": [{"name": "y", "datatype": "FP32", "shape": [-1, 2]}],
        "max_batch_size": 8,
    }
    return ModelConfig.model_validate({**base, **keys})


def opened(network: str = "Linear", **keys: Any) -> OpenedModel:
    return open_model(config(f"{NETWORKS}:{network}", **keys), "cpu")


RECURRENT: dict[str, Any] = {
    "network": "models.zoo.recurrent:Recurrent",
    "inputs": [{"name": "x", "datatype": "FP32", "shape": [-1, 16]}],
    "outputs": [{"name": "y", "datatype": "FP32", "shape": [-1, 4]}],
}
WIDE = [{"name": "y", "datatype": "FP32", "shape": [-1, 4]}]


def test_an_honest_model_passes_all_five_and_says_so_in_its_metadata() -> None:
    shown = opened().summary()
    found = {each["check"]: each["code"] for each in shown["checks"]}
    assert found == {
        "inference mode": "passed",
        "padding": "not_applicable",
        "co-batched rows": "passed",
        "warmed shapes": "passed",
        "compilation": "passed",
        "device": "measured",
        "batching": "measured",
    }
    assert {each["mistake"] for each in shown["checks"]} == {1, 2, 3, 4, 5}
    assert sorted(shown["forward_ms"], key=int) == ["1", "2", "4", "8"]
    assert list(shown["start_s"]) == ["load", "check", "compile", "warm", "prove", "compare"]


def test_answers_are_those_of_eager_fp32() -> None:
    rows = np.arange(12, dtype=np.float32).reshape(3, 4)
    found = opened().runner.run([{"x": rows}])["y"]
    from tests.models.networks import Linear

    np.testing.assert_allclose(found, Linear()(torch.from_numpy(rows)).detach().numpy(), rtol=1e-5)


def test_parts_of_a_batch_come_back_in_their_order() -> None:
    runner = opened("Identity", outputs=WIDE).runner
    parts = [{"x": np.full((rows, 4), rows, np.float32)} for rows in (2, 1, 3)]
    assert runner.run(parts)["y"][:, 0].tolist() == [2, 2, 1, 3, 3, 3]


def test_an_output_that_is_the_input_survives_the_next_batch() -> None:
    runner = opened("Identity", outputs=WIDE, backend="eager").runner
    first = runner.run([{"x": np.full((2, 4), 1, np.float32)}])["y"]
    runner.run([{"x": np.full((2, 4), 2, np.float32)}])
    assert first[0, 0] == 1


@pytest.mark.parametrize("max_batch_size", [1, 8])
@pytest.mark.parametrize("seed", range(20))
def test_dropout_that_ignores_eval_is_refused_by_whatever_it_draws(max_batch_size: int, seed: int) -> None:
    torch.manual_seed(seed)
    with pytest.raises(ModelError, match="the same input, asked twice"):
        opened("StubbornDropout", max_batch_size=max_batch_size)


def test_rows_that_influence_each_other_are_refused() -> None:
    with pytest.raises(ModelError, match="a row alone and in a batch"):
        opened("BatchStatistics")


def test_a_forward_that_records_gradients_is_refused() -> None:
    with pytest.raises(ModelError, match="carries a graph"):
        opened("RecordsGradients", backend="eager")


def test_a_model_that_branches_on_data_is_served_eagerly_where_it_cannot_be_scripted() -> None:
    served = opened("Branches")
    assert served.how == "eager"
    assert [each.code for each in served.checks.compilation.refused] == ["not_compilable", "data_branch"]


def test_a_trace_of_the_recurrent_network_is_refused_and_the_network_scripted() -> None:
    served = open_model(config(**RECURRENT, torchscript="trace"), "cpu")
    assert served.how == "script"
    assert [(each.way, each.code) for each in served.checks.compilation.refused] == [("trace", "data_branch")]


def test_a_second_start_loads_what_the_first_compiled() -> None:
    assert opened(backend="torchscript").checks.compilation.made == "now"
    assert opened(backend="torchscript").checks.compilation.made == "before"


def test_other_weights_never_load_an_old_artefact(tmp_path: Path) -> None:
    opened(backend="torchscript")
    torch.save({"layer.weight": torch.ones(2, 4), "layer.bias": torch.ones(2)}, tmp_path / "w.pt")
    source = {"factory": f"{NETWORKS}:Linear", "weights": str(tmp_path / "w.pt")}
    served = open_model(config(source=source, backend="torchscript"), "cpu")
    assert served.checks.compilation.made == "now"
    assert served.runner.run([{"x": np.ones((1, 4), np.float32)}])["y"].tolist() == [[5.0, 5.0]]


def test_a_damaged_artefact_is_made_again(cache: Path) -> None:
    opened()
    [kept] = (cache / "torchscript").glob("*.pt")
    kept.write_bytes(b"damaged")
    assert opened(backend="torchscript").checks.compilation.made == "now"


def test_a_cache_that_cannot_be_written_costs_no_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("PITSTOP_CACHE", str(tmp_path / "file"))
    assert opened(backend="torchscript").how == "script"


def test_precision_that_loses_the_answer_is_refused_with_the_number_and_the_advice() -> None:
    with pytest.raises(ModelError, match=r"differs by .* is allowed\nhelp: choose a finer precision"):
        opened("Sharp", outputs=WIDE, precision="bf16")


def test_bf16_passes_where_it_is_close_enough() -> None:
    assert opened(precision="bf16").checks.compilation.code == "passed"


def test_wrong_outputs_in_the_config_are_named() -> None:
    with pytest.raises(ModelError, match="list one output per tensor"):
        opened("Counts")
    with pytest.raises(ModelError, match=r"has shape \[1, 2\] for 1 rows"):
        opened(outputs=[{"name": "y", "datatype": "FP32", "shape": [-1, 3]}])


def test_wrong_inputs_in_the_config_show_what_the_model_said() -> None:
    with pytest.raises(ModelError, match="compare inputs in the config"):
        opened(inputs=[{"name": "x", "datatype": "FP32", "shape": [-1, 5]}], backend="eager")


def test_every_integer_type_arrives_unchanged() -> None:
    for datatype in ("UINT8", "INT8", "INT16", "INT32", "INT64"):
        served = opened(
            "Integers",
            inputs=[{"name": "x", "datatype": datatype, "shape": [-1, 4], "high": 50}],
            outputs=[{"name": "y", "datatype": datatype, "shape": [-1, 4]}],
        )
        rows = np.array([[1, 2, 3, 4]], dtype=served.samples.inputs[0].numpy)
        assert served.runner.run([{"x": rows}])["y"].tolist() == [[2, 4, 6, 8]]


LENGTHS = {
    "inputs": [{"name": "values", "datatype": "FP32", "shape": [-1, -1]}],
    "outputs": [{"name": "y", "datatype": "FP32", "shape": [-1, 1]}],
    "lengths": [4, 16],
}


def test_an_open_size_is_padded_to_a_warmed_length() -> None:
    mask = {"name": "mask", "datatype": "FP32", "shape": [-1, -1]}
    served = opened("Masked", **{**LENGTHS, "inputs": [*LENGTHS["inputs"], mask]})  # type: ignore[misc]
    short, long = np.ones((1, 3), np.float32), np.ones((1, 9), np.float32)
    parts = [{"values": short, "mask": short}, {"values": long, "mask": long}]
    assert served.runner.shape(parts) == (2, (16,))
    assert served.runner.run(parts)["y"].tolist() == [[3.0], [9.0]]
    assert served.runner.unwarmed == 0


def test_a_model_whose_answer_depends_on_padding_is_refused() -> None:
    with pytest.raises(ModelError, match=r"padded to 4 and unpadded.*\nhelp: the network reads its padding"):
        opened("Unmasked", **LENGTHS)


def test_every_batch_size_up_to_the_limit_takes_a_warmed_shape() -> None:
    runner = opened(max_batch_size=13).runner
    for rows in range(1, 14):
        runner.run([{"x": np.zeros((rows, 4), np.float32)}])
    assert runner.unwarmed == 0
    assert runner.layout.sizes == (1, 2, 4, 8, 13)


def test_rows_that_only_the_start_drew_do_not_count_as_unwarmed() -> None:
    inputs = [{"name": "values", "datatype": "FP32", "shape": [-1, 3]}]
    keys = {**LENGTHS, "inputs": inputs, "lengths": [4], "preprocess": f"{NETWORKS}:twice_as_long"}
    assert opened("Added", **keys).runner.unwarmed == 0


def test_a_length_that_nobody_warmed_keeps_no_memory() -> None:
    mask = {"name": "mask", "datatype": "FP32", "shape": [-1, -1]}
    runner = opened("Masked", **{**LENGTHS, "inputs": [*LENGTHS["inputs"], mask]}).runner  # type: ignore[misc]
    for length in range(1, 60):
        ones = np.ones((1, length), np.float32)
        assert runner.run([{"values": ones, "mask": ones}])["y"].tolist() == [[float(length)]]
    assert set(runner._staging._slots) == set(runner.layout.shapes)


def test_every_warmed_shape_has_room_among_the_graphs_that_torch_compile_keeps(monkeypatch: pytest.MonkeyPatch) -> None:
    limits = torch._dynamo.config
    for name in ("cache_size_limit", "accumulated_cache_size_limit"):
        monkeypatch.setattr(limits, name, 8)
    layout = Layout(torch.device("cpu"), torch.float32, False, (1, 2, 4, 8, 16), dims_of(range(1, 21)))
    compile_with(Uncompiled(torch.nn.Linear(1, 1), [], (), (), layout, config(backend="compile")))
    assert limits.cache_size_limit > 2 * 100
    assert limits.accumulated_cache_size_limit > limits.cache_size_limit


def test_a_changed_argument_of_the_factory_is_compiled_anew() -> None:
    source = {"factory": f"{NETWORKS}:Scaled", "kwargs": {"scale": 1.0}}
    one = opened(source=source).runner.run([{"x": np.ones((1, 4), np.float32)}])["y"]
    two = opened(source={**source, "kwargs": {"scale": 2.0}}).runner.run([{"x": np.ones((1, 4), np.float32)}])["y"]
    np.testing.assert_allclose(two, 2 * one, rtol=1e-5)


def test_a_batch_beyond_the_warmed_sizes_is_answered_and_counted() -> None:
    runner = opened(max_batch_size=2).runner
    assert runner.run([{"x": np.zeros((3, 4), np.float32)}])["y"].shape == (3, 2)
    assert runner.unwarmed == 1


def test_cuda_without_a_gpu_is_an_error_and_never_a_fallback() -> None:
    if torch.cuda.is_available():
        pytest.skip("there is a GPU here")
    with pytest.raises(ModelError, match="torch finds none here"):
        open_model(config(), "cuda")


def test_a_fallback_is_written_into_the_result() -> None:
    served = open_model(config(), "cpu", fallback="no GPU in the cluster")
    assert served.checks.device.fallback == "no GPU in the cluster"
    assert "FALLBACK: no GPU in the cluster" in line(served.checks.device)


def test_an_export_is_served_and_parity_checked(tmp_path: Path) -> None:
    from tests.models.networks import Linear

    rows = torch.export.Dim("rows", min=1, max=64)
    program = torch.export.export(Linear().eval(), (torch.ones(2, 4),), dynamic_shapes=({0: rows},))
    torch.export.save(program, tmp_path / "m.pt2")
    served = open_model(config(source={"exported_program": str(tmp_path / "m.pt2")}, backend="eager"), "cpu")
    assert served.runner.run([{"x": np.zeros((3, 4), np.float32)}])["y"].shape == (3, 2)


@pytest.mark.parametrize("freeze", [False, True])
def test_a_torchscript_file_is_served_frozen_or_not(tmp_path: Path, freeze: bool) -> None:
    from tests.models.networks import Linear

    scripted = torch.jit.script(Linear().eval())
    (torch.jit.freeze(scripted) if freeze else scripted).save(str(tmp_path / "m.pt"))
    assert open_model(config(source={"torchscript": str(tmp_path / "m.pt")}), "cpu").how == "script"
