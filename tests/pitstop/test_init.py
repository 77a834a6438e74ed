"""`pitstop init` finds out what a network takes, asks for what it cannot find, and overwrites nothing."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from torch import nn
from typer.testing import CliRunner

from configs.schema import SourceConfig
from models.errors import ModelError
from models.sources import source
from pitstop.cli import app
from pitstop.eager import EagerModel
from pitstop.init import write
from pitstop.init.arguments import arguments_of
from pitstop.init.draft import Draft, Kind
from pitstop.init.drawn import kept
from pitstop.init.find import as_said, signatures
from pitstop.init.infer import infer
from pitstop.init.main import move, refuse
from pitstop.init.options import InitOptions
from pitstop.init.write import item
from pitstop.yaml_edit.append import anchor_of, append_application
from pitstop.yaml_edit.new_config import application, head
from pitstop.yaml_edit.patch import PatchError
from tests.pitstop import init_networks as networks
from tests.serving import PROJECT

NETWORKS = "tests/pitstop/init_networks.py"
FOUND = [
    (networks.Mlp(), "features FP32 [-1, 12]"),
    (networks.Two(), "left FP32 [-1, 4], right FP32 [-1, 6]"),
    (networks.Recurrent(), "x FP32 [-1, steps, 6]"),
    (networks.Words(), "input_ids INT64 [-1, tokens], attention_mask INT64 [-1, tokens]"),
    (networks.Cnn(5), "x FP32 [-1, 3, 32, 32]"),
    (networks.Vit(), "image UINT8 [-1, 3, 32, 32]"),
    (networks.ChannelsLast(), "x FP32 [-1, 224, 224, 3]"),
    (networks.Pairs(), "user_id INT64 [-1], item_id INT64 [-1]"),
    (torch.jit.script(networks.Cnn(5)), "x FP32 [-1, 3, 32, 32]"),
]


@pytest.mark.parametrize("module, expected", FOUND, ids=lambda each: type(each).__name__)
def test_the_inputs_are_found_by_the_layers_that_they_reach(module: nn.Module, expected: str) -> None:
    first = next(signatures(infer(module.eval())))
    found = ", ".join(f"{each['name']} {each['datatype']} {each['shape']}" for each in first["inputs"])
    assert found.replace("'", "") == expected


@pytest.mark.parametrize(
    "module, expected",
    [
        (networks.Words(), [{"low": 1, "high": 49}, {}]),
        (networks.Pairs(), [{"high": 29}, {"high": 39}]),
        (networks.Bag(), [{"low": 1, "high": 59}]),
        (networks.Functional(), [{"high": 19}]),
        (networks.Changed("hashed"), [{}]),
        (networks.Changed("clamped"), [{}]),
        (networks.Mlp(), [{}]),
    ],
    ids=lambda each: type(each).__name__,
)
def test_ids_have_the_bounds_of_their_embedding_unless_they_are_changed_before_it(
    module: nn.Module, expected: list[dict[str, int]]
) -> None:
    first, *others = signatures(infer(module.eval()))
    assert [_bounds(each) for each in first["inputs"]] == expected
    # A client pads by itself where the server does not, so the row of padding is an id like others.
    unpadded = [{key: each[key] for key in each if key != "low"} for each in expected]
    assert all([_bounds(each) for each in other["inputs"]] == unpadded for other in others)


def test_a_bound_of_a_flag_stays() -> None:
    found = as_said(["ids:INT64:-1,16:0..30"], ["ids"], networks.Changed("hashed").eval())
    assert [_bounds(each) for each in next(signatures(found))["inputs"]] == [{"high": 30}]


def _bounds(line: dict[str, Any]) -> dict[str, int]:
    return {key: line[key] for key in ("low", "high") if key in line}


IMAGE = [{"name": "image", "datatype": "UINT8", "shape": [-1, 3, 32, 32]}]


@pytest.mark.parametrize(
    "kind, args, line",
    [
        (
            "picture",
            {"inputs": IMAGE},
            "    inputs: # a picture is resized to this size, and no mean or std",
        ),
        ("picture", {"example": "cat.png"}, "example: cat.png # a picture is resized to this size, and no mean or std"),
        (
            "picture",
            {"predict": {"decode": "mine/hooks.py:read"}},
            "# reads a picture: how it is resized, mean",
        ),
        ("picture", {"source": {"pretrained": "dir"}, "example": "cat.png"}, "cat.png # a real input, for the checks"),
        ("tensors", {"example": "x.npy"}, "x.npy # a real input, for the checks of the start"),
    ],
)
def test_the_config_says_how_a_picture_is_resized(kind: Kind, args: dict[str, object], line: str) -> None:
    text = item(Draft("m", (), kind, "y"), {"name": "m", "source": {"factory": "a:B"}, **args})
    assert line in text
    assert yaml.safe_load(text.replace("*ray_env_vars", "{}"))[0]["args"]["name"] == "m"


def test_no_size_is_warmed_that_the_network_refuses() -> None:
    first = next(signatures(infer(networks.Words(positions=40).eval())))
    assert first["dims"] == {"tokens": {"sizes": [16, 32]}}


def test_inputs_that_are_put_together_before_any_layer_are_asked_for() -> None:
    with pytest.raises(ModelError, match=r"forward takes a and b, and .* put together before any layer"):
        infer(networks.Together().eval())


def test_an_argument_comes_from_the_shapes_of_weights_that_dataparallel_saved(tmp_path: Path) -> None:
    torch.save(nn.DataParallel(networks.Cnn(7)).state_dict(), tmp_path / "cnn.pth")
    assert arguments_of(f"{NETWORKS}:Cnn", str(tmp_path / "cnn.pth"), {}).kwargs == {"num_classes": 7}


def test_a_default_that_does_not_fit_the_weights_is_replaced(tmp_path: Path) -> None:
    torch.save(networks.Words(positions=24).state_dict(), tmp_path / "words.pth")
    assert arguments_of(f"{NETWORKS}:Words", str(tmp_path / "words.pth"), {}).found == {"positions": 24}


def test_an_argument_that_leaves_no_trace_in_the_weights_is_asked_for(tmp_path: Path) -> None:
    torch.save(networks.Heads(8, 2).state_dict(), tmp_path / "heads.pth")
    with pytest.raises(
        ModelError, match=r"needs heads\nhelp: the weights fit heads of .* alike: give --arg heads=VALUE"
    ):
        arguments_of(f"{NETWORKS}:Heads", str(tmp_path / "heads.pth"), {})


def test_a_missing_argument_without_weights_is_named() -> None:
    with pytest.raises(ModelError, match="--arg num_classes=VALUE"):
        arguments_of(f"{NETWORKS}:Cnn", None, {})


def test_what_all_configs_begin_with_is_what_the_shipped_one_has() -> None:
    shipped, new = yaml.safe_load((PROJECT / "serve_config.yaml").read_text()), yaml.safe_load(head())
    for key in ("http_options", "grpc_options", "controller_options", "logging_config"):
        assert new[key] == shipped[key]
    assert new["applications"] == shipped["applications"][:1]


def test_init_writes_a_config_of_at_most_25_lines_for_the_model_and_overwrites_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    arguments = [f"{PROJECT / NETWORKS}:Two", "--name", "pair"]
    first = CliRunner().invoke(app, ["init", *arguments])
    assert first.exit_code == 0, first.output
    assert "pitstop run pair/serve.yaml" in first.output
    assert sorted(path.name for path in tmp_path.iterdir()) == ["pair"]
    config = tmp_path / "pair" / "serve.yaml"
    assert len(config.read_text().partition("  - name: pair")[2].splitlines()) <= 25
    for name in ("client.py", "test_pair.py"):
        compile((tmp_path / "pair" / name).read_text(), name, "exec")
    assert "those that its class drew: they are kept in pair/pair.safetensors" in first.output
    one, other = EagerModel(config, "pair"), EagerModel(config, "pair")
    rows = one.rows(1)
    one.compare({"both": other(rows)["both"]}, rows)
    again = CliRunner().invoke(app, ["init", *arguments])
    assert again.exit_code == 2
    assert "is there already" in again.output

    before = (config.read_text() + "# the end\n").replace("args: {grpc_port: 8001}", "args: {grpc_port: 8001} # ours")
    config.write_text(before)
    clash = CliRunner().invoke(app, ["add", *arguments, "pair/serve.yaml"])
    assert clash.exit_code == 2
    assert "has a model 'pair' already" in clash.output
    added = CliRunner().invoke(app, ["add", arguments[0], "pair/serve.yaml", "--name", "other"])
    assert added.exit_code == 0, added.output
    after = config.read_text()
    assert [line for line in before.splitlines() if line not in after.splitlines()] == []
    assert [each["name"] for each in yaml.safe_load(after)["applications"]] == ["root", "pair", "other"]
    assert after.count("env_vars: *ray_env_vars") == 3


def test_weights_that_a_class_draws_are_kept_and_those_that_it_has_are_not(tmp_path: Path) -> None:
    drawn, same = networks.Mlp(), networks.Seeded()
    path = tmp_path / "mlp.safetensors"
    given = {"factory": f"{PROJECT / NETWORKS}:Mlp"}
    assert kept(given, drawn, path) == ({**given, "weights": str(path)}, "")
    found = source.load(SourceConfig.model_validate({**given, "weights": str(path)}))
    assert isinstance(found, nn.Module)
    assert torch.equal(found.state_dict()["layer.weight"], drawn.layer.weight)
    seeded = {"factory": f"{PROJECT / NETWORKS}:Seeded"}
    assert kept(seeded, same, tmp_path / "seeded.safetensors") == (seeded, "")
    hidden = {"factory": f"{PROJECT / NETWORKS}:Stateful"}
    unchanged, why = kept(hidden, networks.Stateful(), tmp_path / "stateful.safetensors")
    assert unchanged == hidden
    assert "_extra_state: is a dict, not a tensor" in why
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("kind", ["buffer", "tensor", "number"])
def test_numbers_that_no_state_dict_has_are_not_said_to_be_kept(kind: str, tmp_path: Path) -> None:
    given = {"factory": f"{PROJECT / NETWORKS}:Unsaved", "kwargs": {"kind": kind}}
    path = tmp_path / "unsaved.safetensors"
    assert kept(given, networks.Unsaved(kind), path) == (given, "its state_dict does not hold all of them")
    assert not path.exists()


def test_a_test_of_a_network_whose_weights_cannot_be_kept_skips_the_comparison() -> None:
    draft = Draft("a-b", ({},), "tensors", "y", redrawn=True)
    assert "pytest.skip(" in write.test(draft, Path("c.yaml"), Path("t.py"))
    assert "pytest.skip(" not in write.test(replace(draft, redrawn=False), Path("c.yaml"), Path("t.py"))
    assert write.test_file("a-b") == "test_a_b.py"


def test_whatever_would_be_overwritten_is_refused_without_force_and_a_folder_keeps_its_other_files(
    tmp_path: Path,
) -> None:
    asked = InitOptions("net.py:Net")
    (tmp_path / "net.npz").write_text("mine")
    with pytest.raises(ModelError, match=r"net\.npz: is there already\nhelp: name a new folder with --out"):
        refuse(asked, [tmp_path / "hooks.py", tmp_path / "net.npz"])
    refuse(replace(asked, force=True), [tmp_path / "net.npz"])
    for folder in ("drafted", "mine"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / folder).write_text("")
    move(tmp_path / "drafted", tmp_path / "mine")
    assert sorted(each.name for each in (tmp_path / "mine").iterdir()) == ["drafted", "mine"]


def test_a_network_that_cannot_be_served_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    found = CliRunner().invoke(app, ["init", f"{PROJECT / NETWORKS}:Together"])
    assert found.exit_code == 2
    assert "--input a:FP32" in found.output
    assert list(tmp_path.iterdir()) == []


def test_an_application_is_put_behind_the_others_and_before_what_follows() -> None:
    text = "a: &x {b: 1}\napplications:\n- name: one # first\n  c: *x\n\n# of z\nz: 1\n"
    found = append_application(text, "- name: two\n  c: *x\n", {"name": "two", "c": {"b": 1}})
    assert found == text.replace("  c: *x\n", "  c: *x\n\n- name: two\n  c: *x\n", 1)


def test_a_list_on_one_line_is_not_extended() -> None:
    with pytest.raises(PatchError, match="put it there by hand"):
        append_application("applications: [{name: one}]\n", "- name: two\n", {"name": "two"})


def test_the_anchor_of_the_variables_is_found() -> None:
    assert anchor_of(head()) == "ray_env_vars"
    assert anchor_of("controller_options: {runtime_env: {env_vars: {A: '1'}}}\n") is None


def test_an_application_reads_back_as_it_was_given() -> None:
    args = {
        "name": "x",
        "source": {"factory": "a/b.py:C"},
        "inputs": [{"name": "y", "datatype": "FP32", "shape": [-1]}],
    }
    [item] = yaml.safe_load(application(args, {}, environment="{}"))
    assert item["args"] == args
    assert item["deployments"] == [{"name": "Model", "max_ongoing_requests": 1024}]
