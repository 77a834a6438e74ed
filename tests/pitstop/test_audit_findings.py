"""What an audit concludes from its figures; all figures are made up."""

from pathlib import Path

import pytest

from configs.loader import load
from pitstop.audit.case import Case
from pitstop.audit.config_findings import config_findings
from pitstop.audit.finding import Finding
from pitstop.audit.mistakes import verdicts
from pitstop.audit.step import STARTED, ForwardSetting, Step, StepSpec
from pitstop.audit.timing_findings import timing_findings
from tests.pitstop.audit_fakes import MISTAKES, PROJECT, case, edited, step, steps

DIGITS = PROJECT / "serve_config.yaml"
SCRIPT = ForwardSetting("torchscript", "fp32", "contiguous")


def of(found: Case, **keys: object) -> list[Finding]:
    every = [*config_findings(found), *timing_findings(found)]
    return [each for each in every if all(getattr(each, key) == value for key, value in keys.items())]


def with_steps(path: Path, here: ForwardSetting, **ms: float) -> Case:
    return case(path, steps=steps(here, ms))


def test_one_by_one_is_a_mistake_only_where_batches_pay() -> None:
    path = MISTAKES / "one_by_one.yaml"
    assert of(case(path), mistake=5)[0].fix == "max_batch_size: 64"
    slow = {"32": 31.0, "64": 62.0}
    assert not of(case(path, steps=steps(SCRIPT, slow)), mistake=5)


@pytest.mark.parametrize("key", ["random: true", "batch: whole"])
def test_what_a_config_waives_is_told(tmp_path: Path, key: str) -> None:
    path = MISTAKES / "one_by_one.yaml"
    found = of(case(edited(tmp_path, path, ("max_batch_size: 1", f"max_batch_size: 1\n      {key}"))), severity="hint")
    name = key.partition(":")[0]
    assert [each.keys[-1] for each in found if f"is waived by {name}" in each.what] == [name]
    assert not [each for each in of(case(path)) if "is waived" in each.what]


def test_one_row_that_belongs_to_nothing_is_not_told_to_share(tmp_path: Path) -> None:
    edit = ("max_batch_size: 1", "max_batch_size: 1\n      batch: whole")
    assert not of(case(edited(tmp_path, MISTAKES / "one_by_one.yaml", edit)), mistake=5)


def test_a_limit_of_one_row_in_user_config_is_the_same_mistake_at_its_own_key(tmp_path: Path) -> None:
    path = edited(tmp_path, DIGITS, ("max_queue_size: 1024", "max_batch_size: 1"))
    found = of(case(path, "digits-cpu"), mistake=5)
    assert found[0].keys[-2:] == ("user_config", "max_batch_size")


def test_a_key_of_the_model_s_deployment_is_shown_there_though_its_ingress_stands_first(tmp_path: Path) -> None:
    ingress = ("      - name: Model\n", "      - name: Ingress\n      - name: Model\n")
    path = edited(tmp_path, DIGITS, ("max_queue_size: 1024", "max_batch_size: 1"), ingress)
    assert load(path).raw["applications"][1]["deployments"][0]["name"] == "Ingress"
    found = of(case(path, "digits"), mistake=5)
    assert found[0].keys[2:] == ("deployments", 1, "user_config", "max_batch_size")


def test_more_rows_than_are_warmed_is_mistake_2(tmp_path: Path) -> None:
    path = edited(tmp_path, DIGITS, ("max_queue_size: 1024", "max_batch_size: 128"))
    assert of(case(path, "digits-cpu"), mistake=2)[0].severity == "mistake"


def test_starved_batches_cost_what_small_ones_give() -> None:
    assert of(case(MISTAKES / "starved.yaml"), mistake=5)[0].cost == (
        "at most 1,250 items/s, where batches of 64 give 10,700"
    )


def test_wrong_answers_are_mistake_3_and_name_the_line(tmp_path: Path) -> None:
    path = edited(tmp_path, MISTAKES / "eager.yaml", ("backend: eager", "precision: bf16"))
    here = ForwardSetting("torchscript", "bf16", "contiguous")
    wrong = Step(StepSpec(here.key, "TorchScript, bf16", "path", 1, here), deviation=0.2, skipped="off eager by 0.2")
    found = of(case(path, steps=(step("train", 4, "mistake"), wrong)), mistake=3)
    assert (found[0].keys[-1], found[0].fix) == ("precision", "precision: fp32")


def test_a_faster_setting_is_a_hint_with_its_lines() -> None:
    found = of(with_steps(DIGITS, SCRIPT, bf16=0.4), severity="hint")
    assert found[-1].fix == "precision: bf16"
    assert not [each for each in of(with_steps(DIGITS, SCRIPT, bf16=0.95)) if each.fix == "precision: bf16"]


def test_where_it_was_tried_in_batches_those_decide() -> None:
    half = ForwardSetting("torchscript", "bf16", "contiguous")
    found = steps(SCRIPT, {"bf16": 0.4})
    slower = step("option-batch", 7.0, "option", 64, setting=half)
    assert not [each for each in of(case(DIGITS, steps=(*found, slower))) if each.fix == "precision: bf16"]


def test_batches_past_their_best_are_a_hint() -> None:
    found = of(with_steps(DIGITS, SCRIPT, **{"64": 20.0}), fix="max_batch_size: 32")
    assert found[0].severity == "hint"


@pytest.mark.parametrize(
    "sizes, said",
    [
        ("[1, 2, 64]", "nothing between 2 and 64"),
        ("[8, 16, 32, 64]", "nothing between 0 and 8"),
        ("[1, 4, 64]", "1 and 4"),
    ],
)
def test_gaps_between_warmed_sizes_are_told(tmp_path: Path, sizes: str, said: str) -> None:
    path = edited(
        tmp_path, MISTAKES / "eager.yaml", ("max_batch_size: 64", f"max_batch_size: 64\n      batch_sizes: {sizes}")
    )
    found = [each for each in config_findings(case(path)) if each.keys[-1] == "batch_sizes"]
    assert said in found[0].what
    assert "[1, 2, 4, 8, 16, 32, 64]" in found[0].fix


def test_powers_of_two_have_no_gap(tmp_path: Path) -> None:
    sizes = "max_batch_size: 64\n      batch_sizes: [1, 2, 4, 8, 16, 32, 64]"
    path = edited(tmp_path, MISTAKES / "eager.yaml", ("max_batch_size: 64", sizes))
    assert not [each for each in config_findings(case(path)) if each.keys[-1] == "batch_sizes"]


def test_a_limit_between_warmed_sizes_is_padding(tmp_path: Path) -> None:
    path = edited(tmp_path, DIGITS, ("max_queue_size: 1024", "max_batch_size: 48"))
    found = [each for each in config_findings(case(path)) if each.keys[-1] == "max_batch_size"]
    assert (found[0].fix, found[0].cost) == ("max_batch_size: 32", "25% of a full batch is padding")


def test_more_threads_than_cores_are_told_with_what_fewer_would_give(tmp_path: Path) -> None:
    path = edited(tmp_path, MISTAKES / "eager.yaml", ("max_batch_size: 64", "max_batch_size: 64\n      num_cpus: 8"))
    here = ForwardSetting("eager", "fp32", "contiguous")
    found = of(case(path, cores=2, steps=(*steps(here), step("threads", 0.5, "option"))), fix="num_cpus: 2")
    assert found[0].cost == "2.00 ms a forward; on 2 threads 0.500 ms"


def test_replicas_that_want_more_cores_than_there_are(tmp_path: Path) -> None:
    path = edited(tmp_path, MISTAKES / "eager.yaml", ("num_replicas: 1", "num_replicas: 4"))
    assert of(case(path, cores=2), fix="num_replicas: 2")
    assert not of(case(path, cores=4), fix="num_replicas: 2")


@pytest.mark.parametrize("name", ["digits.pt", "digits.pth", "https://example.org/digits.bin"])
def test_pickled_weights_are_a_hint(tmp_path: Path, name: str) -> None:
    path = edited(tmp_path, MISTAKES / "eager.yaml", ("models/zoo/digits.safetensors", name))
    found = [each for each in config_findings(case(path)) if each.keys[-1] == "weights"]
    assert found[0].severity == "hint"
    assert found[0].fix.endswith("digits.safetensors")


def test_a_cpu_fleet_beside_a_gpu_replica_is_no_mistake() -> None:
    assert not of(case(PROJECT / "configs/cluster.yaml", "resnet50-cpu"), severity="mistake")
    assert of(case(MISTAKES / "cpu_fleet.yaml"), mistake=4)[0].severity == "mistake"


def test_a_gpu_model_with_nothing_to_compare_with_is_a_hint() -> None:
    assert of(case(PROJECT / "configs/mlp.yaml"), mistake=4)[0].severity == "hint"
    assert not of(case(DIGITS, "digits"), mistake=4)


def test_each_mistake_has_its_price() -> None:
    found = {each.number: each for each in verdicts(case(DIGITS), [])}
    assert found[1].factor == pytest.approx(2.0)
    assert found[1].cost == "250 items/s, not 500; answers off by 0.9"
    assert found[3].factor == pytest.approx(2.0)
    assert found[4].factor is None
    assert found[5].factor == pytest.approx(64 / 6)
    assert not any(each.made for each in found.values())


def test_on_a_gpu_search_and_shapes_and_the_cpu_have_a_price_too() -> None:
    more = (
        step("search", 0.5, setting=SCRIPT),
        step("shapes-padded", 1.0, "batch"),
        step("shapes-new", 30.0, "mistake"),
        step("cpu", 600.0, "mistake", 64),
    )
    found = verdicts(case(DIGITS, device="cuda", steps=(*steps(SCRIPT), *more)), [])
    assert found[1].factor == pytest.approx(30)
    assert found[3].factor == pytest.approx(100)


def test_a_mistake_that_was_found_is_made() -> None:
    finding = Finding("mistake", "what", ("applications",), "fix", mistake=2)
    assert [each.made for each in verdicts(case(DIGITS), [finding])] == [False, True, False, False, False]


def test_what_a_start_gains_on_top_of_compiling_is_lost_with_it() -> None:
    here = case(DIGITS).here
    found = case(DIGITS, steps=(*steps(here), step(STARTED, 0.5, setting=here, how="script")))
    assert found.one is not None
    assert found.one.spec.key == STARTED
    [_, _, uncompiled, *_] = verdicts(found, [])
    assert uncompiled.factor == pytest.approx(4)


def test_what_cuda_graphs_gain_is_not_lost_with_compiling() -> None:
    here = case(DIGITS).here
    found = case(DIGITS, device="cuda", steps=(*steps(here), step(STARTED, 0.5, setting=here, how="script")))
    assert verdicts(found, [])[2].factor == pytest.approx(2)


def test_where_a_start_gains_nothing_the_compiled_forward_is_what_counts() -> None:
    here = case(DIGITS).here
    found = case(DIGITS, steps=(*steps(here), Step(StepSpec(STARTED, "packed", "path", 1, here), skipped="no faster")))
    [_, _, uncompiled, *_] = verdicts(found, [])
    assert uncompiled.factor == pytest.approx(2)


def test_a_busy_machine_fails_no_build() -> None:
    here = ForwardSetting("eager", "fp32", "contiguous")
    noisy = tuple(
        step(each.spec.key, 1 if "torchscript" in each.spec.key else 1.3, each.spec.kind, noise=0.4,
             setting=each.spec.setting)
        for each in steps(here)
    )  # fmt: skip
    assert not of(case(MISTAKES / "eager.yaml", steps=noisy), mistake=3)
