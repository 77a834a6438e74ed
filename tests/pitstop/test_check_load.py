"""`pitstop check --load`: each model is opened as a start does, in a process of its own."""

import sys
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from typer.testing import CliRunner

from pitstop.cli import app

NETS = """
import ctypes, os, sys, time
from torch import nn
class Good(nn.Linear):
    def __init__(self): super().__init__(4, 2)
def exits(): sys.exit(3)
def leaves(): os._exit(7)
def crashes(): ctypes.string_at(0)
def raises(): raise RuntimeError("no such thing")
def waits(): time.sleep(600)
def reads(): return Good() if os.environ["LOAD_NETS"] == "set" else None
def doubles(): return Good().double()
class Pairs(Good):
    def forward(self, x): y = super().forward(x); return y, [y, None]
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "load_nets.py").write_text(NETS)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PITSTOP_CACHE", str(tmp_path / "cache"))
    return tmp_path


def model(name: str, factory: str, **args: Any) -> dict[str, Any]:
    given = {
        "name": name,
        "device": "cpu",
        "backend": "eager",
        "max_batch_size": 2,
        "source": {"factory": f"load_nets:{factory}"},
        "inputs": [{"name": "x", "datatype": "FP32", "shape": [-1, 4]}],
        "outputs": [{"name": "y", "datatype": "FP32", "shape": [-1, 2]}],
    }
    return {
        "name": name,
        "route_prefix": f"/v2/models/{name}",
        "import_path": "deployments.app:model",
        "args": {**given, **args},
        "deployments": [{"name": "Model", "max_ongoing_requests": 64}],
    }


def check(folder: Path, *apps: dict[str, Any], options: tuple[str, ...] = ()) -> tuple[int, str]:
    path = folder / "nets.yaml"
    path.write_text(yaml.safe_dump({"applications": list(apps)}), encoding="utf-8")
    result = CliRunner().invoke(app, ["check", "--load", *options, str(path)])
    return result.exit_code, result.output


def test_a_model_that_opens_says_where_and_how_long(folder: Path) -> None:
    status, output = check(folder, model("net", "Good"))
    assert status == 0
    assert "net: opens on cpu, eager fp32; ready after" in output


def test_what_the_start_of_a_model_that_opens_warns_of_is_shown(folder: Path) -> None:
    status, output = check(folder, model("net", "Good", store=str(folder / "nowhere"), backend="auto"))
    assert status == 0
    assert "nowhere: the store is no folder" in " ".join(output.split())


def test_inputs_that_were_found_are_told(folder: Path) -> None:
    (folder / "rows.json").write_text("[[1.0, 2.5, 3.0, 4.0]]", encoding="utf-8")
    found = model("net", "Good", example=str(folder / "rows.json"))
    del found["args"]["inputs"]
    status, output = check(folder, found)
    assert status == 0, output
    assert "; inputs as found: data FP32 [-1, 4]" in output


def test_where_the_outputs_come_from_is_told_before_and_after_the_model_opens(folder: Path) -> None:
    outputs = [{"name": "y", "datatype": "FP32", "shape": [-1, 2], "from": 1.0}]
    status, output = check(folder, model("net", "Pairs", outputs=outputs))
    assert status == 0, output
    assert "nets.yaml: net: outputs y from 1.0\n" in output
    assert "; outputs y from 1.0" in output


def test_what_ends_or_crashes_is_told_by_name_and_the_others_are_opened(folder: Path) -> None:
    names = ("exits", "leaves", "crashes", "raises")
    status, output = check(folder, *(model(name, name) for name in names), model("last", "Good"))
    assert status == 1
    assert "exits: factory load_nets:exits raised SystemExit: 3 (load_nets.py, line 6)" in output
    assert "leaves: its start ended the process with exit status 7\nhelp: " in output
    assert "crashes: its start ended the process with signal 11 (SIGSEGV)\nhelp: " in output
    assert "raises: factory load_nets:raises raised RuntimeError: no such thing (load_nets.py, line 9)" in output
    assert "last: opens on cpu" in output


def test_what_a_start_refuses_is_refused_in_its_words(folder: Path) -> None:
    outputs = [{"name": "y", "datatype": "FP32", "shape": [-1, 3]}]
    status, output = check(folder, model("net", "Good", outputs=outputs))
    assert status == 1
    assert "net: output 'y' has shape" in output


@pytest.mark.skipif(torch.cuda.is_available(), reason="needs a machine without a GPU")
def test_a_model_for_a_gpu_cannot_be_opened_without_one(folder: Path) -> None:
    status, output = check(folder, model("net", "Good", device="cuda"))
    assert status == 1
    assert "net: device: cuda requires a GPU, but torch finds none here\nhelp: " in output


def test_only_the_model_that_was_named_is_opened(folder: Path) -> None:
    status, output = check(folder, model("bad", "raises"), model("good", "Good"), options=("--model", "good"))
    assert status == 0
    assert "bad: " not in output
    status, output = check(folder, model("good", "Good"), options=("--model", "god"))
    assert status == 1
    assert "there is no model 'god'\nhelp: did you mean 'good'?" in output


def test_a_model_that_does_not_get_ready_is_ended_and_told(folder: Path) -> None:
    status, output = check(folder, model("slow", "waits"), options=("--timeout", "1"))
    assert status == 1
    assert "slow: its start took longer than 1 s\nhelp: give it longer with --timeout" in output


def test_a_file_with_errors_opens_nothing(folder: Path) -> None:
    status, output = check(folder, model("net", "Good", batch_wait_timeout_s=5))
    assert status == 1
    assert "opens on" not in output


def test_a_model_is_opened_with_the_variables_of_its_application(folder: Path) -> None:
    variables = {"runtime_env": {"env_vars": {"LOAD_NETS": "set"}}}
    status, output = check(folder, model("net", "reads") | variables)
    assert status == 0, output


def test_the_precision_told_is_the_one_that_runs(folder: Path) -> None:
    _, output = check(folder, model("net", "doubles"))
    assert "net: opens on cpu, eager fp64; ready after" in output


def test_a_file_is_opened_from_a_folder_whose_packages_have_the_names_of_ours(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "path", list(sys.path))  # The command puts the folder there.
    for package in ("models", "configs", "deployments"):
        (folder / package).mkdir()
        (folder / package / "__init__.py").write_text("raise RuntimeError\n")
    (folder / "models" / "net.py").write_text(NETS)
    status, output = check(folder, model("net", "", source={"factory": "models/net.py:Good"}))
    assert status == 0, output
    assert "net: opens on cpu, eager fp32; ready after" in output
    status, output = check(folder, model("net", "", source={"factory": "models.net:Good"}))
    assert status == 1
    assert "help: name the file in place of the module: models/net.py:Good" in output


def test_why_another_backend_serves_than_the_config_names_is_told(folder: Path) -> None:
    status, output = check(folder, model("net", "Good", backend="aoti"))
    assert status == 0, output
    assert "; not AOTInductor: nothing is built of it: `pitstop build` does it" in output
    _, output = check(folder, model("net", "Good", backend="torchscript"))
    assert "; not " not in output
