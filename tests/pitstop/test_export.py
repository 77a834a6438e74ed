from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml

from configs.schema import ModelConfig, SourceConfig
from models.sources.files import digest
from models.sources.source import load
from models.startup.open_model import open_model
from tests.models import output_networks
from tests.models.networks import Linear

from .exported import LINEAR, export, manifest_of

PROJECT = Path(__file__).resolve().parents[2]


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    path = tmp_path / "weights.pt"
    torch.save({"state_dict": {"layer.weight": torch.full((2, 4), 3.0), "layer.bias": torch.zeros(2)}}, path)
    return path


def test_a_checkpoint_becomes_safetensors_with_the_same_bits(checkpoint: Path, tmp_path: Path) -> None:
    dest = tmp_path / "w.safetensors"
    status, output = export(checkpoint, "-o", dest)
    assert status == 0, output
    assert "2 tensors, each the same as in the source, bit by bit" in output
    assert "put the network's own factory in place" in output
    module = load(SourceConfig(factory="tests.models.networks:Linear", weights=str(dest), sha256=digest(dest)))
    assert torch.equal(module(torch.ones(1, 4)), torch.full((1, 2), 12.0))


def test_the_manifest_says_what_it_is_and_what_it_was_made_from(checkpoint: Path, tmp_path: Path) -> None:
    dest = tmp_path / "net.pt"
    assert export(checkpoint, "-o", dest, *LINEAR)[0] == 0
    found = manifest_of(dest)
    assert found["sha256"] == digest(dest)
    assert found["source"] == {"file": str(checkpoint), "sha256": digest(checkpoint), "factory": LINEAR[1]}
    assert found["versions"]["torch"] == torch.__version__
    assert found["inputs"] == [{"name": "x", "datatype": "FP32", "shape": [-1, 4]}]
    assert found["outputs"] == [{"name": "output", "datatype": "FP32", "shape": [-1, 2]}]
    cases = found["parity"]["cases"]
    assert {case["rows"] for case in cases} >= {1, 2, 3, 16}
    assert len({case["seed"] for case in cases}) == len(cases)


@pytest.mark.parametrize(
    "dest, key", [("net.pt", "torchscript"), ("net.pt2", "exported_program"), ("net.safetensors", "weights")]
)
def test_the_printed_yaml_serves_any_number_of_rows(checkpoint: Path, tmp_path: Path, dest: str, key: str) -> None:
    lines = tmp_path / "lines.yaml"
    status, output = export(checkpoint, "-o", tmp_path / dest, *LINEAR, "--yaml", lines)
    assert status == 0, output
    assert lines.read_text() in output
    config = ModelConfig.model_validate({"name": "net", **yaml.safe_load(lines.read_text())})
    assert getattr(config.source, key) == str(tmp_path / dest)
    assert config.backend == "auto"
    for rows in (1, 5, 33):
        assert torch.equal(load(config.source)(torch.ones(rows, 4)), torch.full((rows, 2), 12.0))


@pytest.mark.parametrize("dest", ["net.pt", "net.pt2", "net.safetensors"])
@pytest.mark.parametrize(
    "network, names",
    [
        ("Yolo", ["output0", "output1", "output2"]),
        ("NoneFirst", ["output"]),
        ("Data", ["y", "more.z.0", "more.z.1"]),
        ("Tuple", ["z", "y"]),
    ],
)
def test_nested_outputs_are_found_and_the_printed_yaml_serves_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, network: str, names: list[str], dest: str
) -> None:
    monkeypatch.setenv("PITSTOP_CACHE", str(tmp_path / "cache"))
    lines, factory = tmp_path / "lines.yaml", f"tests.models.output_networks:{network}"
    arguments = ("--factory", factory, *LINEAR[2:], "--yaml", lines)
    status, output = export("-o", tmp_path / dest, *arguments)
    assert status == 0, output
    args = yaml.safe_load(lines.read_text())
    assert [each["name"] for each in args["outputs"]] == names
    assert any("from" in each for each in args["outputs"]) == (network == "Data" and dest == "net.safetensors")
    served = open_model(ModelConfig.model_validate({"name": "net", "max_batch_size": 2, **args}), "cpu")
    found = served.runner.run([{"x": np.ones((2, 4), np.float32)}])
    y = output_networks.Bare()(torch.ones(2, 4)).detach().numpy()
    for name, array in found.items():
        by = {"output1": 2, "output2": -1, "more.z.1": -1, "z": -1}.get(name, 1)
        np.testing.assert_allclose(array, by * y, rtol=1e-5)


def test_an_export_of_a_config_keeps_the_outputs_of_their_paths_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(PROJECT)
    outputs = [{"name": "b", "datatype": "FP32", "shape": [-1, 3], "from": "1.1"}]
    inputs = [{"name": "x", "datatype": "FP32", "shape": [-1, 4]}]
    args = {"name": "net", "source": {"factory": "tests.models.output_networks:Yolo"}}
    app = {
        "name": "net",
        "import_path": "deployments.app:model",
        "args": {**args, "inputs": inputs, "outputs": outputs},
    }
    (tmp_path / "net.yaml").write_text(yaml.safe_dump({"applications": [app]}))
    for dest in ("net.pt", "net.pt2"):
        status, output = export("--config", tmp_path / "net.yaml", "-o", tmp_path / dest)
        assert status == 0, output
        assert manifest_of(tmp_path / dest)["outputs"] == [
            {key: outputs[0][key] for key in ("name", "datatype", "shape")}
        ]
        key = "torchscript" if dest == "net.pt" else "exported_program"
        [found] = load(SourceConfig.model_validate({key: str(tmp_path / dest)}))(torch.ones(2, 4))
        assert torch.allclose(found, output_networks.Yolo()(torch.ones(2, 4))[1][1])


@pytest.mark.parametrize("dest", ["net.pt", "net.pt2", "net.safetensors"])
@pytest.mark.parametrize("network", ["Names", "Pair", "Bare", "WithNone"])
def test_an_export_of_a_config_with_a_postprocess_serves_its_outputs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, network: str, dest: str
) -> None:
    monkeypatch.chdir(PROJECT)
    monkeypatch.setenv("PITSTOP_CACHE", str(tmp_path / "cache"))
    args: dict[str, Any] = {
        "name": "net",
        "source": {"factory": f"tests.models.output_networks:{network}"},
        "inputs": [{"name": "x", "datatype": "FP32", "shape": [-1, 4]}],
        "postprocess": "tests.models.output_networks:shown",
        "outputs": [{"name": "shown", "datatype": "BYTES", "shape": [-1]}],
    }
    app = {"name": "net", "import_path": "deployments.app:model", "args": args}
    (tmp_path / "net.yaml").write_text(yaml.safe_dump({"applications": [app]}))
    lines = tmp_path / "lines.yaml"
    status, output = export("--config", tmp_path / "net.yaml", "-o", tmp_path / dest, "--yaml", lines)
    if network == "WithNone" and dest != "net.safetensors":
        assert (status != 0, "postprocess reads what forward returns by its names" in output) == (True, True), output
        return
    assert status == 0, output
    found = ModelConfig.model_validate({"name": "net", "max_batch_size": 2, **yaml.safe_load(lines.read_text())})
    assert [each.model_dump(exclude_none=True) for each in found.outputs] == [{**args["outputs"][0], "shape": (-1,)}]
    served = open_model(found, "cpu")
    assert served.postprocess is not None
    names = {"Names": ["z", "y"], "Pair": ["output0", "output1"]}.get(network, ["output"])
    given = served.runner.run([{"x": np.ones((1, 4), np.float32)}])
    assert sorted(given) == sorted(names)


@pytest.mark.parametrize("dest", ["net.pt", "net.pt2", "net.safetensors"])
@pytest.mark.parametrize(
    "network, width, keys", [("Variational", 4, {"random": True}), ("Graph", 2, {"batch": "whole"})]
)
def test_what_is_declared_random_or_whole_is_exported_as_such(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, network: str, width: int, keys: dict[str, Any], dest: str
) -> None:
    monkeypatch.chdir(PROJECT)
    monkeypatch.setenv("PITSTOP_CACHE", str(tmp_path / "cache"))
    args: dict[str, Any] = {
        "name": "net",
        "source": {"factory": f"tests.models.meant_networks:{network}"},
        "inputs": [{"name": "x", "datatype": "FP32", "shape": [-1, 4]}],
        "outputs": [{"name": "y", "datatype": "FP32", "shape": [-1, width]}],
    }
    app = {"name": "net", "import_path": "deployments.app:model", "args": {**args, **keys}}
    (tmp_path / "net.yaml").write_text(yaml.safe_dump({"applications": [app]}))
    lines = tmp_path / "lines.yaml"
    status, output = export("--config", tmp_path / "net.yaml", "-o", tmp_path / dest, "--yaml", lines)
    assert status == 0, output
    written = yaml.safe_load(lines.read_text())
    assert {key: written[key] for key in keys} == keys
    served = open_model(ModelConfig.model_validate({"name": "net", "max_batch_size": 4, **written}), "cpu")
    source = open_model(ModelConfig.model_validate({**args, **keys, "max_batch_size": 4}), "cpu")
    x = {"x": np.ones((3, 4), np.float32)}
    np.testing.assert_allclose(served.runner.run([x], seed=7)["y"], source.runner.run([x], seed=7)["y"], rtol=1e-5)


def test_a_network_that_draws_what_no_seed_reaches_is_refused_though_declared_random(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(PROJECT)
    args = {
        "name": "net",
        "random": True,
        "source": {"factory": "tests.models.meant_networks:DrawsFromNumpy"},
        "inputs": [{"name": "x", "datatype": "FP32", "shape": [-1, 4]}],
        "outputs": [{"name": "y", "datatype": "FP32", "shape": [-1, 4]}],
    }
    app = {"name": "net", "import_path": "deployments.app:model", "args": args}
    (tmp_path / "net.yaml").write_text(yaml.safe_dump({"applications": [app]}))
    status, output = export("--config", tmp_path / "net.yaml", "-o", tmp_path / "net.pt")
    assert (status != 0, "asked the same twice with the same seed," in output) == (True, True), output


def test_what_a_config_serves_is_exported_with_its_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(PROJECT)
    dest = tmp_path / "digits.pt2"
    status, output = export("--config", "serve_config.yaml", "--model", "digits", "-o", dest)
    assert status == 0, output
    assert [each["name"] for each in manifest_of(dest)["outputs"]] == ["probabilities", "label"]
    assert manifest_of(dest)["source"]["file"] == "models/zoo/digits.safetensors"


def test_an_open_length_stays_open_in_a_pt2(tmp_path: Path) -> None:
    dest = tmp_path / "masked.pt2"
    inputs = ("--input", "values:FP32:-1,-1", "--input", "mask:FP32:-1,-1", "--lengths", "4,9")
    status, output = export("-o", dest, "--factory", "tests.models.networks:Masked", *inputs)
    assert status == 0, output
    module = load(SourceConfig(exported_program=str(dest)))
    assert module(torch.ones(3, 7), torch.ones(3, 7)).tolist() == [[7.0]] * 3


def test_a_loop_that_depends_on_the_data_is_scripted_and_kept(tmp_path: Path) -> None:
    dest = tmp_path / "recurrent.pt"
    network = ("--factory", "models.zoo.recurrent:Recurrent", "--input", "x:FP32:-1,16")
    assert export("-o", dest, *network)[0] == 0
    assert manifest_of(dest)["made"]["how"] == "script"


@pytest.mark.parametrize(
    "network, dest, says",
    [
        ("Branches", "net.pt", "a trace would be wrong for other inputs: control flow depends on the data"),
        ("Branches", "net.pt2", "its control flow depends on the data"),
        ("StubbornDropout", "net.pt", "the source, asked the same twice"),
    ],
)
def test_an_unfaithful_artefact_is_refused_and_leaves_nothing(
    tmp_path: Path, network: str, dest: str, says: str
) -> None:
    status, output = export("-o", tmp_path / dest, "--factory", f"tests.models.networks:{network}", *LINEAR[2:])
    assert status == 2
    assert says in output
    assert "\nhelp: " in output
    assert list(tmp_path.iterdir()) == []


def test_a_network_that_fixes_its_rows_is_no_pt2(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Linear, "forward", lambda self, x: self.layer(x) * (2.0 if x.shape[0] == 4 else 1.0))
    status, output = export("-o", tmp_path / "net.pt2", *LINEAR)
    assert status == 2
    assert "it fixes the number of rows" in output
    assert list(tmp_path.iterdir()) == []


def test_a_network_that_takes_only_some_numbers_of_rows_is_told_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Linear, "forward", lambda self, x: self.layer(x.reshape(4, 4)))
    status, output = export("-o", tmp_path / "net.pt2", *LINEAR, "--output", "y:FP32:-1,2")
    assert status == 2
    assert "the network cannot take x [3, 4]" in output


def test_an_existing_file_is_kept_without_force(checkpoint: Path, tmp_path: Path) -> None:
    dest = tmp_path / "w.safetensors"
    dest.write_text("precious")
    status, output = export(checkpoint, "-o", dest)
    assert status == 2
    assert "--force" in output
    assert dest.read_text() == "precious"
    assert export(checkpoint, "-o", dest, "--force")[0] == 0


def test_help_gives_an_example() -> None:
    status, output = export("--help")
    assert status == 0
    assert "pitstop export weights.pt -o digits.pt2" in output


def test_a_factory_in_a_file_is_exported_and_stands_in_the_printed_yaml(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "models").mkdir()
    network = "from torch import nn\n\n\nclass Net(nn.Linear):\n    def __init__(self): super().__init__(4, 2)\n"
    (tmp_path / "models" / "net.py").write_text(network)
    torch.save({"weight": torch.ones(2, 4), "bias": torch.zeros(2)}, "w.pt")
    for trust in ((), ("--trust-pickle",)):
        given = ("--factory", "models/net.py:Net", *LINEAR[2:], *trust, "--force")
        status, output = export("w.pt", "-o", "w.safetensors", *given)
        assert status == 0, output
        assert "factory: models/net.py:Net" in output
    status, output = export("-o", "net.pt", "--factory", "models/net.py:Net", *LINEAR[2:])
    assert status == 0, output


def test_a_config_without_a_signature_is_exported_with_what_its_example_tells(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(PROJECT)
    (tmp_path / "x.json").write_text('[{"x": [1, 2, 3.5]}, {"x": [1, 2, 3.5, 4]}]')
    args = {"name": "net", "example": str(tmp_path / "x.json"), "dims": {"n": {"sizes": [4, 8]}}}
    for factory, expected in (("RowSum", "shape: [-1, n]"), ("RowCopy", "change with the batch or an open size")):
        (tmp_path / "nets.py").write_text(
            "from torch import nn\n"
            "class RowSum(nn.Module):\n    def forward(self, x): return x.sum(1)\n"
            "class RowCopy(nn.Module):\n    def forward(self, x): return 2 * x\n"
        )
        source = {"factory": f"{tmp_path / 'nets.py'}:{factory}"}
        app = {"name": "net", "import_path": "deployments.app:model", "args": {**args, "source": source}}
        (tmp_path / "net.yaml").write_text(yaml.safe_dump({"applications": [app]}))
        _, output = export("--config", tmp_path / "net.yaml", "-o", tmp_path / f"{factory}.pt")
        assert expected in " ".join(output.split())
