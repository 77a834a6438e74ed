"""The audit on real, tiny models: what they show of themselves, and that looking leaves them as they were."""

import subprocess
import sys
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
import torch

from configs.backends import BACKENDS
from configs.loader import ModelApp, load
from configs.problems import Keys
from models.errors import ModelError
from models.runtime.runner import Runner
from models.signature import Shape
from models.startup import contender
from models.startup.cuda_graphs import Graphed
from models.startup.onednn_packing import PackedForward
from models.startup.sample_inputs import SampleInputs
from models.startup.warmup import Warmed, warm
from pitstop.audit.audit_result import AuditResult, Budget
from pitstop.audit.built import batches_of, build
from pitstop.audit.chosen import choose, leaves_a_choice
from pitstop.audit.isolated import examine_here
from pitstop.audit.main import AuditOptions, audit
from pitstop.audit.model_findings import model_findings
from pitstop.audit.step import STARTED, ForwardSetting, Step, find, setting_of
from pitstop.audit.subject import Subject, subject_of
from pitstop.audit.subject import load as load_subject
from pitstop.audit.waterfall import waterfall
from tests.models.test_open_model import config
from tests.pitstop.audit_fakes import MISTAKES, PROJECT, edited

FAST = Budget(0.002, quick=True)
STRAY = "tests.pitstop.mistakes.stray:Stray"


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PITSTOP_CACHE", str(tmp_path / "cache"))


def subject(path: Path) -> Subject:
    return subject_of(load_subject(load(path).models[0].config, "cpu"))


def setting_here(found: Subject) -> ForwardSetting:
    return choose(found).setting if leaves_a_choice(found) else setting_of(found.config)


def walked(found: Subject) -> list[Step]:
    return list(waterfall(found, build(found, setting_here(found)), FAST))


def left_out(steps: dict[str, Step]) -> dict[str, str]:
    """Return what was left out, but for what is slow, which this quick audit leaves out."""
    slow = tuple(each.name for each in BACKENDS.values() if each.slow)
    return {key: step.skipped for key, step in steps.items() if step.skipped and not key.startswith(slow)}


def quickly(app: ModelApp, keys: Keys, _: Budget) -> Iterator[AuditResult]:
    yield from islice(examine_here(app, keys, FAST), 6)


@pytest.mark.parametrize(
    "name, mistake, said",
    [
        ("records_gradients", 1, "carries a graph"),
        ("trains_for_ever", 1, "asked twice"),
        ("open_texts", 2, "no lengths are listed"),
        ("lying_trace", 3, "a trace would be wrong"),
    ],
)
def test_a_model_that_makes_a_mistake_gives_itself_away(
    name: str, mistake: int, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    status = audit(AuditOptions(MISTAKES / f"{name}.yaml"), examine_model=quickly)
    output = " ".join(capsys.readouterr().out.split())
    assert status == 1
    assert f"MISTAKE {mistake}" in output
    assert said in output


@pytest.mark.parametrize("network", ["Yolo", "Data", "Deep"])
def test_nested_outputs_are_compared_and_measured_in_every_step(network: str) -> None:
    path = {"Yolo": "1.0", "Data": "more.z.1", "Deep": "head.aux.2"}[network]
    outputs = [{"name": "y", "datatype": "FP32", "shape": [-1, 3], "from": path}]
    keys: dict[str, Any] = {"outputs": outputs, "max_batch_size": 4, "device": "cpu", "backend": "torchscript"}
    found = subject_of(load_subject(config(f"tests.models.output_networks:{network}", **keys), "cpu"))
    built = build(found, setting_here(found))
    assert built.how != "eager"
    assert [each for each in model_findings(found, built, ()) if each.severity == "mistake"] == []
    steps = {step.spec.key: step for step in walked(found)}
    assert {"train", "eval", "inference_mode", "batch-4"} <= set(steps)
    assert left_out(steps) == {}


WAIVED: list[tuple[str, dict[str, Any]]] = [
    ("StubbornDropout", {"random": True}),
    ("Graph", {"batch": "whole"}),
]


@pytest.mark.parametrize("network, keys", WAIVED)
def test_what_a_config_waives_is_measured_in_every_step_and_no_mistake(network: str, keys: dict[str, Any]) -> None:
    keys = {"max_batch_size": 4, "device": "cpu", "backend": "torchscript", **keys}
    found = subject_of(load_subject(config(f"tests.models.meant_networks:{network}", **keys), "cpu"))
    built = build(found, setting_here(found))
    assert [each for each in model_findings(found, built, ()) if each.severity == "mistake"] == []
    steps = {step.spec.key: step for step in walked(found)}
    assert {"train", "eval", "inference_mode", "batch-4"} <= set(steps)
    assert left_out(steps) == {}
    compared = {step.deviation is not None for step in steps.values() if step.timing and step.spec.kind != "mistake"}
    assert compared == {not found.config.random}


def test_the_digits_prove_themselves_and_every_step_is_measured_or_says_why_not() -> None:
    found = subject(PROJECT / "serve_config.yaml")
    built = build(found, setting_here(found))
    assert [each for each in model_findings(found, built, ()) if each.severity == "mistake"] == []
    every = walked(found)
    keys = [step.spec.key for step in every]
    assert keys[:3] == ["train", "eval", "inference_mode"]
    assert {"batch-2", "batch-64", "shapes-new", "shapes-padded"} < set(keys)
    assert all((step.timing is None) == bool(step.skipped) for step in every)


def packing(monkeypatch: pytest.MonkeyPatch, wins: bool) -> list[int]:
    """Have the start find the packed forward faster, or not, and return a list of the rows that it is then given."""
    rows: list[int] = []

    def pack(runner: Runner, samples: SampleInputs, plain_ms: dict[Shape, float]) -> Warmed:
        def forward(*inputs: torch.Tensor) -> Any:
            rows.append(len(inputs[0]))
            return runner.forward(*inputs)

        chosen = runner.with_forward(forward) if wins else runner
        return Warmed(chosen, warm(chosen, samples, list(plain_ms)))

    monkeypatch.setattr(contender, "pack", pack)
    return rows


def test_batches_are_measured_as_a_start_leaves_the_model(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = packing(monkeypatch, wins=True)
    every = walked(subject(PROJECT / "serve_config.yaml"))
    assert find(every, STARTED) is not None
    assert {1, 2, 64} < set(rows)


def test_what_a_start_leaves_out_says_so_and_batches_run_what_was_compiled(monkeypatch: pytest.MonkeyPatch) -> None:
    packing(monkeypatch, wins=False)
    every = walked(subject(PROJECT / "serve_config.yaml"))
    [step] = [step for step in every if step.spec.key == STARTED]
    assert "the start leaves it out" in step.skipped
    assert find(every, "batch-64") is not None


def test_a_model_without_convolutions_has_nothing_to_pack() -> None:
    every = walked(subject(PROJECT / "configs/mlp.yaml"))
    assert STARTED not in [step.spec.key for step in every]


def test_for_which_batches_a_start_took_it_stands_in_the_note() -> None:
    found = subject(PROJECT / "serve_config.yaml")
    forward = build(found, setting_here(found)).forward
    assert batches_of(PackedForward(forward, forward, from_rows=4)) == "from 4 rows on"
    assert batches_of(Graphed(forward, {((rows, 3),): None for rows in (1, 8)})) == "up to 8 rows"  # type: ignore[misc]
    assert batches_of(forward) == ""


def test_train_mode_answers_otherwise_and_holds_more_memory_than_inference() -> None:
    every = walked(subject(PROJECT / "serve_config.yaml"))
    train, plain = find(every, "train"), find(every, "inference_mode")
    assert train is not None
    assert plain is not None
    assert train.deviation is not None
    assert train.deviation > 0.01
    assert plain.deviation == 0
    assert (train.peak_mib or 0) > (plain.peak_mib or 0) > 0


def test_measuring_leaves_the_model_and_the_process_as_they_were() -> None:
    found = subject(PROJECT / "serve_config.yaml")
    before = {key: value.clone() for key, value in found.plain.state_dict().items()}
    flags = (torch.get_num_threads(), torch.backends.cudnn.benchmark, torch.backends.cudnn.allow_tf32)
    walked(found)
    assert all(torch.equal(value, before[key]) for key, value in found.plain.state_dict().items())
    assert not found.reference.module.training
    assert flags == (torch.get_num_threads(), torch.backends.cudnn.benchmark, torch.backends.cudnn.allow_tf32)


def test_a_model_whose_rows_influence_each_other_is_not_told_to_batch(tmp_path: Path) -> None:
    edits = ("RecordsGradients", "BatchStatistics"), ("max_batch_size: 8", "max_batch_size: 1")
    path = edited(tmp_path, MISTAKES / "records_gradients.yaml", *edits)
    every = walked(subject(path))
    assert all(step.skipped for step in every if step.spec.key.startswith("batch-"))


def test_tensors_that_stay_behind_and_waits_for_the_gpu_are_told(tmp_path: Path) -> None:
    path = edited(
        tmp_path,
        MISTAKES / "records_gradients.yaml",
        ("tests.models.networks:RecordsGradients", STRAY),
        ("device: cpu", "device: auto"),
    )
    found = subject(path)
    told = " ".join(each.what for each in model_findings(found, build(found, setting_here(found)), ()))
    assert "scale is a plain tensor" in told
    assert "torch.ones without device= makes a CPU tensor" in told
    assert ".item() waits for the GPU" in told


def test_a_factory_that_fails_is_one_sentence_and_a_way_out(tmp_path: Path) -> None:
    path = edited(
        tmp_path, MISTAKES / "records_gradients.yaml", ("tests.models.networks:RecordsGradients", f"{STRAY[:-5]}broken")
    )
    with pytest.raises(ModelError, match=r"RuntimeError: the disk is on fire \(.*stray\.py, line \d+\)\nhelp: "):
        subject(path)


def test_ray_is_neither_needed_nor_imported() -> None:
    code = (
        "import sys; sys.modules['ray'] = None; from pathlib import Path; from pitstop.audit.main import *; "
        "from tests.pitstop.test_audit_models import quickly; "
        f"sys.exit(audit(AuditOptions(Path({str(PROJECT / 'configs/mlp.yaml')!r})), examine_model=quickly))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=PROJECT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "mlp: none of the five mistakes" in done.stdout


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_on_a_gpu_the_search_the_precisions_and_the_cpu_are_measured() -> None:
    found = subject_of(load_subject(load(PROJECT / "configs/mlp.yaml").models[0].config))
    every = walked(found)
    assert find(every, "search") is not None
    assert find(every, "cpu") is not None
    graphs = find(every, STARTED)
    assert graphs is None or (graphs.deviation or 0) < 1e-3
    assert find(every, "torchscript-fp16-contiguous") is not None
