from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from configs.schema import SourceConfig
from models.errors import ModelError
from models.files import digest
from models.source import load
from tests.models.networks import Linear

FACTORY = "tests.models.networks:Linear"


def source(**keys: object) -> SourceConfig:
    return SourceConfig.model_validate({"factory": FACTORY, **keys})


def weights() -> dict[str, torch.Tensor]:
    return {"layer.weight": torch.full((2, 4), 3.0), "layer.bias": torch.zeros(2)}


def test_safetensors_fill_the_factory(tmp_path: Path) -> None:
    save_file(weights(), tmp_path / "w.safetensors")
    module = load(source(weights=str(tmp_path / "w.safetensors")))
    assert torch.equal(module(torch.ones(1, 4)), torch.full((1, 2), 12.0))


@pytest.mark.parametrize("wrap", [lambda w: w, lambda w: {"state_dict": w, "epoch": 3}])
def test_a_state_dict_fills_the_factory_also_inside_a_checkpoint(tmp_path: Path, wrap: object) -> None:
    torch.save(wrap(weights()), tmp_path / "w.pt")  # type: ignore[operator]
    assert load(source(weights=str(tmp_path / "w.pt"))).state_dict()["layer.weight"][0, 0] == 3.0


def test_the_prefix_of_data_parallel_is_dropped(tmp_path: Path) -> None:
    torch.save({f"module.{key}": value for key, value in weights().items()}, tmp_path / "w.pt")
    assert load(source(weights=str(tmp_path / "w.pt"))).state_dict()["layer.weight"][0, 0] == 3.0


def test_weights_come_from_an_fsspec_url(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PITSTOP_CACHE", str(tmp_path / "cache"))
    save_file(weights(), tmp_path / "w.safetensors")
    module = load(source(weights=f"file://{tmp_path}/w.safetensors", sha256=digest(tmp_path / "w.safetensors")))
    assert module.state_dict()["layer.weight"][0, 0] == 3.0


def test_a_pickled_module_is_refused_with_the_way_out_and_without_running_it(tmp_path: Path) -> None:
    torch.save(Linear(), tmp_path / "model.pt")
    with pytest.raises(ModelError, match="pickled object") as caught:
        load(source(weights=str(tmp_path / "model.pt")))
    assert "safetensors" in str(caught.value)


def test_a_wrong_checksum_is_refused(tmp_path: Path) -> None:
    save_file(weights(), tmp_path / "w.safetensors")
    with pytest.raises(ModelError, match="the config expects 0000"):
        load(source(weights=str(tmp_path / "w.safetensors"), sha256="0" * 64))


def test_weights_that_do_not_fit_name_what_is_off(tmp_path: Path) -> None:
    save_file({"layer.weight": torch.zeros(3, 4), "head.bias": torch.zeros(1)}, tmp_path / "w.safetensors")
    with pytest.raises(ModelError) as caught:
        load(source(weights=str(tmp_path / "w.safetensors")))
    text = str(caught.value)
    assert "missing layer.bias" in text
    assert "unknown head.bias" in text
    assert "layer.weight is [3, 4], the network has [2, 4]" in text


@pytest.mark.parametrize(
    "factory, says",
    [
        ("tests.models.networks:Lineal", "has no 'Lineal'"),
        ("tests.models.nowhere:Net", "No module named"),
        ("tests.models.networks:not_a_module", "returned a int"),
    ],
)
def test_a_factory_that_cannot_be_used_says_why(factory: str, says: str) -> None:
    with pytest.raises(ModelError, match=says):
        load(SourceConfig(factory=factory))


def test_arguments_that_the_factory_lacks_are_named() -> None:
    with pytest.raises(ModelError, match="depth"):
        load(source(kwargs={"depth": 3}))


def test_a_torchscript_file_loads(tmp_path: Path) -> None:
    torch.jit.script(Linear()).save(str(tmp_path / "m.pt"))  # type: ignore[no-untyped-call]
    module = load(SourceConfig(torchscript=str(tmp_path / "m.pt")))
    assert torch.equal(module(torch.ones(1, 4)), Linear()(torch.ones(1, 4)))


def test_an_export_loads(tmp_path: Path) -> None:
    rows = torch.export.Dim("rows", min=1, max=64)
    program = torch.export.export(Linear().eval(), (torch.ones(2, 4),), dynamic_shapes=({0: rows},))
    torch.export.save(program, tmp_path / "m.pt2")
    module = load(SourceConfig(export=str(tmp_path / "m.pt2")))
    assert torch.allclose(module(torch.ones(3, 4)), Linear()(torch.ones(3, 4)))


@pytest.mark.parametrize("key, says", [("torchscript", "not a TorchScript file"), ("export", "not a .pt2 export")])
def test_a_file_of_another_kind_is_named(tmp_path: Path, key: str, says: str) -> None:
    (tmp_path / "m.bin").write_bytes(b"not a model")
    with pytest.raises(ModelError, match=says):
        load(SourceConfig.model_validate({key: str(tmp_path / "m.bin")}))


def test_a_missing_file_says_where_paths_are_taken_from() -> None:
    with pytest.raises(ModelError, match="no such file"):
        load(source(weights="models/zoo/nowhere.safetensors"))
