"""The search with trials that are made up; one real trial shows that the subprocess measures what it says."""

import itertools
import math
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from rich.console import Console
from typer.testing import CliRunner

from configs.loader import load
from configs.schema import ModelConfig
from pitstop.cli import app
from pitstop.tune.candidates import candidates, now, thread_counts
from pitstop.tune.halving import Round, Tried, halve
from pitstop.tune.main import TuneOptions, _wanted, tune
from pitstop.tune.trial import Trial, attempt, failed

PROJECT = Path(__file__).resolve().parents[2]


def config_of(name: str = "digits-cpu") -> ModelConfig:
    return next(each.config for each in load(PROJECT / "serve_config.yaml").models if each.config.name == name)


def halved(scores: Mapping[str, float | None], budget_s: float = 1e9, each_s: float = 1.0) -> list[Tried[str, Any]]:
    clock = itertools.count(0.0, each_s)
    times = {"now": 0.0}

    def run(candidate: str, _: Round) -> float | None:
        times["now"] = next(clock) + each_s
        return scores[candidate]

    return list(halve(list(scores), run, lambda value: value, budget_s, lambda: times["now"]))


def test_each_round_keeps_the_best_third_and_the_present_setting() -> None:
    tried = halved({"present": 0.0, **{str(n): float(n) for n in range(1, 12)}})
    rounds = [{each.candidate for each in tried if each.round == number} for number in range(3)]
    assert len(rounds[0]) == 12
    assert rounds[1] == {"present", "8", "9", "10", "11"}
    assert rounds[2] == {"present", "10", "11"}


def test_what_is_discarded_is_not_tried_again() -> None:
    tried = halved({"present": None, "a": 1.0, "b": None, "c": 2.0, "d": 3.0})
    assert [each.candidate for each in tried if each.round == 1] == ["d", "c"]


def test_when_the_time_is_over_nothing_new_begins_but_the_last_round_has_its_share() -> None:
    tried = halved({str(n): float(n) for n in range(20)}, budget_s=10)
    first = [each for each in tried if each.round == 0]
    assert [each.result is None for each in first] == [False] * 6 + [True] * 14
    assert any(each.round == 1 and each.result is not None for each in tried)


def test_candidates_begin_with_the_present_setting_and_name_each_once() -> None:
    config = config_of()
    found = candidates(config, "cpu", cores=4, images=True, quick=False)
    assert found[0] == now(config, "cpu")
    # Four backends in two precisions, and auto in the config's.
    assert len(found) == len(set(found)) == (4 * 2 + 1) * 2 * 3
    assert {each.threads for each in found} == {1, 2, 4}


def test_quick_leaves_torch_compile_out_and_a_gpu_has_its_own_precisions() -> None:
    config = config_of("digits")
    assert "compile" not in {each.backend for each in candidates(config, "cpu", 2, True, quick=True)}
    gpu = candidates(config, "cuda", 2, False, quick=True)
    assert {each.precision for each in gpu} == {"fp16", "bf16", "tf32", "fp32"}
    assert {each.threads for each in gpu} == {1}


def test_int8_is_tried_last_with_the_backends_that_keep_it_and_only_where_it_can_be_made() -> None:
    given = config_of(), "cpu", 1, False
    assert not [each for each in candidates(*given, quick=True) if "int8" in each.precision]
    found = [each.precision for each in candidates(*given, quick=True, quantized=True)]
    assert found[-2:] == ["int8_dynamic", "int8_weights"]
    kept = {each.backend for each in candidates(*given, quick=False, quantized=True) if "int8" in each.precision}
    assert kept == {"aoti", "compile", "eager"}


def test_what_a_start_would_choose_is_a_candidate_in_the_precision_of_the_config() -> None:
    found = [each for each in candidates(config_of(), "cpu", 1, False, quick=True) if each.backend == "auto"]
    assert [each.precision for each in found] == ["fp32"]


@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_a_precision_that_the_start_chooses_is_left_to_it(device: str) -> None:
    config = config_of().model_copy(update={"precision": "auto"})
    assert {each.precision for each in candidates(config, device, 2, False, quick=True)} == {"auto"}


@pytest.mark.parametrize("device, tried", [("cpu", {"fp32"}), ("cuda", {"tf32", "fp32"})])
def test_an_export_is_tried_in_the_precisions_that_a_start_takes(device: str, tried: set[str]) -> None:
    exported = config_of().source.model_copy(update={"factory": None, "exported_program": "model.pt2"})
    config = config_of().model_copy(update={"source": exported})
    assert {each.precision for each in candidates(config, device, 2, False, quick=True)} == tried


@pytest.mark.parametrize("cores, expected", [(1, [1]), (2, [1, 2]), (6, [1, 2, 4, 6]), (8, [1, 2, 4, 8])])
def test_thread_counts_are_powers_of_two_and_all_cores(cores: int, expected: list[int]) -> None:
    assert thread_counts(cores) == expected


def test_a_first_look_warms_three_sizes_and_a_thorough_one_all() -> None:
    config = config_of()
    assert now(config, "cpu").args(config, "cpu", thorough=False)["batch_sizes"] == [1, 8, 64]
    assert now(config, "cpu").args(config, "cpu", thorough=True)["batch_sizes"] == [1, 2, 4, 8, 16, 32, 64]


Price = Callable[[Mapping[str, Any], int], float]


def fake(price: Price, discard: str = "") -> Callable[[dict[str, Any], str, int, float, float], Trial]:
    """Return trials whose forward of n rows takes `price` ms and a hundredth of it for each further row."""

    def run(args: dict[str, Any], _: str, threads: int, measure_s: float, timeout_s: float) -> Trial:
        assert measure_s > 0
        assert timeout_s > 0
        if discard and args["precision"] == discard:
            return failed("output 'probabilities': differs by 0.2 of its largest value, 0.06 is allowed")
        ms = {size: price(args, threads) * (1 + (size - 1) / 100) for size in args["batch_sizes"]}
        built = args["backend"] in ("auto", "aoti")
        return Trial(ms, ms, "aoti" if built else "script", 1e-7, 100.0)

    return run


def tuned(folder: Path, price: Price, discard: str = "", **options: Any) -> tuple[int, dict[str, Any], str]:
    path = Path(shutil.copy(PROJECT / "serve_config.yaml", folder / "serve_config.yaml"))
    console = Console(width=120, record=True, quiet=False, file=(folder / "out").open("w"))
    status = tune(TuneOptions(path, "digits-cpu", **options), console, fake(price, discard))
    args: dict[str, Any] = yaml.safe_load(path.read_text())["applications"][2]["args"]
    return status, args, " ".join(console.export_text().split())


def test_the_fastest_that_answers_truthfully_is_written(tmp_path: Path) -> None:
    def price(args: Mapping[str, Any], _: int) -> float:
        factors = {"fp32": 2.0, "bf16": 1.0, "int8_dynamic": 3.0, "int8_weights": 3.0}
        factors |= {"eager": 2.0, "torchscript": 1.0, "auto": 1.0}
        return factors[args["precision"]] * factors[args["backend"]]

    status, args, output = tuned(tmp_path, price, quick=True, write=True, goal="latency")
    assert status == 0
    assert (args["precision"], args["backend"]) == ("bf16", "torchscript")
    assert "now torchscript fp32 contiguous x1" in output
    status, args, output = tuned(tmp_path, price, discard="bf16", quick=True, write=True, goal="latency")
    assert "precision" not in args
    assert "discarded: torchscript bf16" in output
    assert "0.06 is allowed" in output


def test_where_a_backend_that_is_built_wins_the_command_is_told_and_auto_wins_a_tie(tmp_path: Path) -> None:
    def price(args: Mapping[str, Any], _: int) -> float:
        assert args["store"] is None
        return 2.0 if args["backend"] in ("torchscript", "eager", "compile") else 1.0

    status, args, output = tuned(tmp_path, price, write=True, goal="latency")
    assert (status, args["backend"]) == (0, "auto")
    assert "(aoti)" in output
    assert "a start only loads AOTInductor: then run pitstop build" in output


def test_no_more_than_noise_changes_nothing(tmp_path: Path) -> None:
    status, _, output = tuned(tmp_path, lambda args, _: 2.0 - 0.04 * (args["precision"] == "bf16"), goal="latency")
    assert status == 0
    assert "is set so already" in output


def test_throughput_takes_all_cores_where_cost_takes_one(tmp_path: Path) -> None:
    def price(_: Mapping[str, Any], threads: int) -> float:
        return 2.0 / math.sqrt(threads)

    import pitstop.tune.main

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pitstop.tune.main, "cores", lambda: 4)
        assert tuned(tmp_path, price, quick=True, write=True, goal="throughput")[1]["num_cpus"] == 4
        assert tuned(tmp_path, price, quick=True, write=True, goal="cost")[1]["num_cpus"] == 0.5  # As it was.


def test_larger_batches_are_tried_while_they_pay(tmp_path: Path) -> None:
    _, args, _ = tuned(tmp_path, lambda _, __: 1.0, quick=True, write=True)
    assert args["max_batch_size"] == 256


def test_a_bound_on_rows_that_belong_together_is_left_as_it_is() -> None:
    config, trial = config_of(), Trial({1: 1.0, 64: 64.0}, {1: 1.0, 64: 64.0}, "script", 1e-7, 100.0)
    best, options = now(config, "cpu"), TuneOptions(PROJECT / "serve_config.yaml")
    assert _wanted(options, config, best, trial)["max_batch_size"] == 1
    assert _wanted(options, config.model_copy(update={"batch": "whole"}), best, trial) == {}


def test_ctrl_c_shows_what_was_measured_and_leaves_the_file(tmp_path: Path) -> None:
    calls = itertools.count()

    def price(_: Mapping[str, Any], __: int) -> float:
        if next(calls) == 3 * 3:
            raise KeyboardInterrupt
        return 1.0

    status, args, output = tuned(tmp_path, price, quick=True, write=True)
    assert status == 130
    assert "stopped by Ctrl-C" in output
    assert "-> torchscript fp32 contiguous x1" in output
    assert args["max_batch_size"] == 64


def test_nothing_usable_ends_with_2(tmp_path: Path) -> None:
    path = Path(shutil.copy(PROJECT / "serve_config.yaml", tmp_path / "serve_config.yaml"))
    console = Console(file=(tmp_path / "out").open("w"), record=True)
    status = tune(TuneOptions(path, "digits-cpu", quick=True), console, lambda *_: failed("no"))
    assert status == 2
    assert "no setting could be used" in console.export_text()


def test_a_real_trial_measures_every_size_and_says_how_far_off_it_is() -> None:
    config = config_of()
    args = now(config, "cpu").args(config, "cpu", thorough=False)
    found = attempt(args, "cpu", 1, measure_s=0.1, timeout_s=240)
    assert found.discarded == ""
    assert sorted(found.p50_ms) == [1, 8, 64]
    assert all(0 < found.p50_ms[size] <= found.p99_ms[size] for size in found.p50_ms)
    assert found.deviation is not None
    assert found.deviation < 1e-3
    assert found.how in ("script", "trace")


def test_a_trial_that_fails_says_why_in_one_line() -> None:
    config = config_of()
    args = now(config, "cpu").args(config, "cpu", thorough=False) | {"tolerance": 1e-12, "precision": "bf16"}
    found = attempt(args, "cpu", 1, measure_s=0.1, timeout_s=240)
    assert "differs by" in found.discarded or "TorchScript would not be faithful" in found.discarded
    assert "\n" not in found.discarded


def test_a_trial_that_ends_its_process_says_by_what() -> None:
    args = config_of().model_dump(mode="json") | {"source": {"factory": "tests.pitstop.mistakes.crashing:Exits"}}
    args |= {"inputs": [{"name": "x", "datatype": "FP32", "shape": [-1, 8]}], "memory_format": "contiguous"}
    args |= {"outputs": [{"name": "y", "datatype": "FP32", "shape": [-1, 8]}], "max_batch_size": 2}
    del args["predict"]
    assert attempt(args, "cpu", 1, measure_s=0.1, timeout_s=240).discarded == "ended the process with exit status 3"


def test_the_command_refuses_what_it_cannot_do(tmp_path: Path) -> None:
    for arguments, what in (
        ([str(tmp_path / "gone.yaml")], "no such file"),
        ([str(PROJECT / "serve_config.yaml")], "choose one with --model"),
        ([str(PROJECT / "serve_config.yaml"), "--model", "digits", "--budget-s", "0"], "--budget-s is 0"),
    ):
        result = CliRunner().invoke(app, ["tune", *arguments])
        assert result.exit_code == 2
        assert what in result.output
        assert "help: " in result.output
    assert "pitstop tune serve_config.yaml" in CliRunner().invoke(app, ["tune", "--help"]).output
