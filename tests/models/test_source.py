import json
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from configs.schema import SourceConfig
from models.errors import ArgumentsError, ModelError
from models.sources.files import digest
from models.sources.source import load
from tests.models.networks import Extra, Linear

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
    with pytest.raises(ArgumentsError) as caught:
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
        ("models.net:Net", "the name 'models' is taken by a package of pitstop itself"),
        ("tests.models.networks:an_instance", "is an instance of Linear, not a factory"),
        ("tests.models.networks:reads_a_file", "reads_a_file raised OSError: no weights in the cache"),
        ("tests.models.networks:not_a_module", "returned a int"),
    ],
)
def test_a_factory_that_cannot_be_used_says_why(factory: str, says: str) -> None:
    with pytest.raises(ModelError, match=says):
        load(SourceConfig(factory=factory))


def test_arguments_that_the_factory_lacks_are_named() -> None:
    with pytest.raises(ArgumentsError, match=r"depth.*\nhelp: give its arguments as source\.kwargs"):
        load(source(kwargs={"depth": 3}))


def test_a_torchscript_file_loads(tmp_path: Path) -> None:
    torch.jit.script(Linear()).save(str(tmp_path / "m.pt"))  # type: ignore[no-untyped-call]
    module = load(SourceConfig(torchscript=str(tmp_path / "m.pt")))
    assert torch.equal(module(torch.ones(1, 4)), Linear()(torch.ones(1, 4)))


def test_an_export_loads(tmp_path: Path) -> None:
    rows = torch.export.Dim("rows", min=1, max=64)
    program = torch.export.export(Linear().eval(), (torch.ones(2, 4),), dynamic_shapes=({0: rows},))
    torch.export.save(program, tmp_path / "m.pt2")
    module = load(SourceConfig(exported_program=str(tmp_path / "m.pt2")))
    assert torch.allclose(module(torch.ones(3, 4)), Linear()(torch.ones(3, 4)))


@pytest.mark.parametrize(
    "key, says", [("torchscript", "not a TorchScript file"), ("exported_program", "not a .pt2 export")]
)
def test_a_file_of_another_kind_is_named(tmp_path: Path, key: str, says: str) -> None:
    (tmp_path / "m.bin").write_bytes(b"not a model")
    with pytest.raises(ModelError, match=says):
        load(SourceConfig.model_validate({key: str(tmp_path / "m.bin")}))


def test_a_missing_file_says_where_paths_are_taken_from() -> None:
    with pytest.raises(ModelError, match="no such file"):
        load(source(weights="models/zoo/nowhere.safetensors"))


def broken(folder: Path, text: str, monkeypatch: pytest.MonkeyPatch) -> str:
    (folder / "broken_at_import.py").write_text(text)
    monkeypatch.syspath_prepend(str(folder))
    monkeypatch.delitem(sys.modules, "broken_at_import", raising=False)
    return "broken_at_import:Net"


def test_a_module_that_raises_at_import_shows_its_own_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    factory = broken(tmp_path, "import os\nos.nothing_of_the_kind\n", monkeypatch)
    with pytest.raises(ModelError, match=r"broken_at_import raised AttributeError: .*nothing_of_the_kind"):
        load(SourceConfig(factory=factory))


def test_what_a_module_lacks_is_not_taken_for_the_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    factory = broken(tmp_path, "import nowhere_at_all\n", monkeypatch)
    with pytest.raises(ModelError, match=r"broken_at_import was found, but .*No module named 'nowhere_at_all'"):
        load(SourceConfig(factory=factory))


def filled(tmp_path: Path, content: object, factory: str = FACTORY) -> torch.nn.Module:
    torch.save(content, tmp_path / "w.pt")
    return load(SourceConfig(factory=factory, weights=str(tmp_path / "w.pt")))


@pytest.mark.parametrize("prefix", ["_orig_mod.", "model.", "module._orig_mod.", "_orig_mod.module.", "model.model."])
def test_prefixes_of_wrappers_are_dropped_in_any_order(tmp_path: Path, prefix: str) -> None:
    module = filled(tmp_path, {prefix + key: value for key, value in weights().items()})
    assert module.state_dict()["layer.weight"][0, 0] == 3.0


def test_a_network_whose_only_child_has_the_name_of_a_prefix_loads_its_own_weights(tmp_path: Path) -> None:
    own = {f"module.{key}": value for key, value in weights().items()}
    assert filled(tmp_path, own, "tests.models.networks:Wrapping").state_dict()["module.layer.bias"][0] == 0.0
    doubly = {f"module.{key}": value for key, value in own.items()}
    filled(tmp_path, doubly, "tests.models.networks:Wrapping")


@pytest.mark.parametrize("key", ["model_state_dict", "model", "net", "ema"])
def test_the_one_entry_that_fits_is_taken(tmp_path: Path, key: str) -> None:
    content = {"epoch": 3, key: weights(), "optimizer": {"state": {}}, "other": {"a": torch.zeros(1)}}
    assert filled(tmp_path, content).state_dict()["layer.weight"][0, 0] == 3.0


@pytest.mark.parametrize(
    "content, says",
    [
        ({"epoch": 3, "opt": {}}, "holds no weights: it holds the keys epoch, opt"),
        ({"model": weights(), "ema": weights()}, "'model', 'ema' each hold weights of this network"),
        ({"a": {"x": torch.zeros(1)}, "b": {"y": torch.zeros(1)}}, "none of the entries 'a', 'b' fits"),
        ([1], "holds a list, not a state_dict"),
    ],
)
def test_a_checkpoint_without_the_weights_lists_what_it_holds(tmp_path: Path, content: object, says: str) -> None:
    with pytest.raises(ModelError, match=says) as caught:
        filled(tmp_path, content)
    assert "load(PATH" not in str(caught.value)


@pytest.mark.parametrize("kind", ["safetensors", "pt"])
@pytest.mark.parametrize("dtype", [torch.int32, torch.bool, torch.complex64])
def test_weights_of_another_kind_of_dtype_are_refused_and_both_are_named(
    tmp_path: Path, dtype: torch.dtype, kind: str
) -> None:
    path = tmp_path / f"w.{kind}"
    odd = {**weights(), "layer.weight": torch.ones(2, 4).to(dtype)}
    save_file(odd, path) if kind == "safetensors" else torch.save(odd, path)
    with pytest.raises(ModelError, match=f"layer.weight is {dtype}, the network has torch.float32"):
        load(source(weights=str(path)))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_floats_of_another_width_are_cast(tmp_path: Path, dtype: torch.dtype) -> None:
    module = filled(tmp_path, {key: value.to(dtype) for key, value in weights().items()})
    assert module.state_dict()["layer.weight"].dtype == torch.float32
    assert module.state_dict()["layer.weight"][0, 0] == 3.0


def test_the_shards_of_an_index_are_read_and_a_missing_one_is_named(tmp_path: Path) -> None:
    for number, (key, value) in enumerate(weights().items()):
        save_file({key: value}, tmp_path / f"model-{number}.safetensors")
    index = tmp_path / "model.safetensors.index.json"
    shards = {key: f"model-{number}.safetensors" for number, key in enumerate(weights())}
    index.write_text(json.dumps({"weight_map": shards}))
    assert load(source(weights=str(index))).state_dict()["layer.weight"][0, 0] == 3.0
    (tmp_path / "model-1.safetensors").unlink()
    with pytest.raises(ModelError, match=r"its shard model-1.safetensors is not beside it"):
        load(source(weights=str(index)))
    index.write_text(json.dumps({"weight_map": {"a": "../a.safetensors"}}))
    with pytest.raises(ModelError, match="shards lie beside their index"):
        load(source(weights=str(index)))


def test_safetensors_are_known_by_their_content(tmp_path: Path) -> None:
    save_file(weights(), tmp_path / "w.bin")
    assert load(source(weights=str(tmp_path / "w.bin"))).state_dict()["layer.weight"][0, 0] == 3.0


@pytest.mark.parametrize("name", ["w.pt", "w.safetensors"])
def test_a_git_lfs_pointer_is_named(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("version https://git-lfs.github.com/spec/v1\noid sha256:ab\nsize 12\n")
    with pytest.raises(ModelError, match="git lfs pull"):
        load(source(weights=str(tmp_path / name)))


def test_the_advice_for_a_pickle_is_a_command_that_works(tmp_path: Path) -> None:
    path = tmp_path / "model.pt"
    torch.save(Linear(), path)
    with pytest.raises(ModelError) as caught:
        load(source(weights=str(path)))
    assert f"pitstop export {path} -o model.safetensors --trust-pickle" in str(caught.value)


def sharded(folder: Path) -> Path:
    for number, (key, value) in enumerate(weights().items()):
        save_file({key: value}, folder / f"model-{number}.safetensors")
    index = folder / "model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": {key: f"model-{n}.safetensors" for n, key in enumerate(weights())}}))
    return index


def test_a_checksum_of_an_index_is_refused_for_it_covers_no_shard(tmp_path: Path) -> None:
    index = sharded(tmp_path)
    with pytest.raises(ModelError, match="sha256 would cover this index alone, and none of the shards"):
        load(source(weights=str(index), sha256=digest(index)))


def test_an_index_under_a_url_is_refused_with_the_way_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PITSTOP_CACHE", str(tmp_path / "cache"))
    with pytest.raises(ModelError, match=r"the shards of a URL are not fetched\nhelp: bring the whole folder here"):
        load(source(weights=f"file://{sharded(tmp_path)}"))


def test_a_network_with_extra_state_loads_its_own_state_dict(tmp_path: Path) -> None:
    network = Extra()
    network.inner.extra = {"scale": 3, "names": ["a"]}
    loaded = filled(tmp_path, network.state_dict(), "tests.models.networks:Extra")
    assert isinstance(loaded, Extra)
    assert loaded.inner.extra == {"scale": 3, "names": ["a"]}
    wrapped = {"state_dict": {f"module.{key}": value for key, value in network.state_dict().items()}, "epoch": 3}
    again = filled(tmp_path, wrapped, "tests.models.networks:Extra")
    assert isinstance(again, Extra)
    assert again.inner.extra == {"scale": 3, "names": ["a"]}


def test_extra_state_that_is_a_tensor_may_have_any_shape_and_dtype(tmp_path: Path) -> None:
    network = Extra()
    network.inner.extra = torch.ones(7, dtype=torch.int64)
    loaded = filled(tmp_path, network.state_dict(), "tests.models.networks:Extra")
    assert isinstance(loaded, Extra)
    assert torch.equal(loaded.inner.extra, network.inner.extra)


def test_extra_state_that_is_not_there_is_named(tmp_path: Path) -> None:
    tensors = {key: value for key, value in Extra().state_dict().items() if not key.endswith("_extra_state")}
    with pytest.raises(ModelError, match=r"does not fit the network: missing inner\._extra_state"):
        filled(tmp_path, tensors, "tests.models.networks:Extra")


def test_extra_state_that_the_network_does_not_take_is_told_with_its_reason(tmp_path: Path) -> None:
    network = Extra()
    network.inner.extra = "broken"
    with pytest.raises(ModelError, match=r"load_state_dict of .*:Extra raised ValueError: broken .*\nhelp: "):
        filled(tmp_path, network.state_dict(), "tests.models.networks:Extra")


def test_what_a_factory_raised_keeps_its_reason_and_line_beside_a_url() -> None:
    with pytest.raises(ModelError) as caught:
        load(SourceConfig(factory="tests.models.networks:fails_at_a_url"))
    text = str(caught.value)
    assert "cannot open https://host/w.pt of two: status 403 (tests/models/networks.py, line " in text
    assert not [word for word in ("SECRET", "PASSWORD", "user") if word in text]
