from pathlib import Path

import pytest
import torch

from models.errors import ModelError
from pitstop.export import signature_flags
from tests.models.networks import Linear

from .exported import LINEAR, export


def test_a_tensor_is_written_as_in_the_yaml() -> None:
    (image, ids) = signature_flags.tensors("--input", ["image:uint8:-1,1,8,8", "ids:INT64:[-1,-1]:0..30521"])
    assert (image.name, image.datatype, image.shape) == ("image", "UINT8", (-1, 1, 8, 8))
    assert (ids.shape, ids.low, ids.high) == ((-1, -1), 0, 30521)


@pytest.mark.parametrize(
    "text, says",
    [
        ("image", "is not NAME:DATATYPE:SHAPE"),
        ("image:UINT9:-1,8", "UINT8"),
        ("image:UINT8:1,8", "must begin with -1"),
        ("image:UINT8:-1,x", "is not a list of whole numbers"),
        ("image:UINT8:-1,8:0-9", "are not LOW..HIGH"),
        ("image:UINT8:-1,8:9..0", "is above high"),
    ],
)
def test_a_tensor_written_otherwise_is_told_how(text: str, says: str) -> None:
    with pytest.raises(ModelError, match=says) as caught:
        signature_flags.tensors("--input", [text])
    assert "help: " in str(caught.value)


def test_arguments_of_the_factory_are_read_as_yaml() -> None:
    assert signature_flags.kwargs(["width=3", "name=a", "on=true"]) == {"width": 3, "name": "a", "on": True}


@pytest.mark.parametrize(
    "arguments, says",
    [
        (["-o", "w.onnx", *LINEAR], "does not say what to make"),
        (["-o", "w.pt", "--to", "pt2", *LINEAR], "pt2 files end with .pt2"),
        (["-o", "w.pt2", "--to", "pt3", *LINEAR], "did you mean 'pt2'?"),
        (["-o", "w.pt2"], "nothing to export"),
        (["-o", "w.pt2", *LINEAR, "--arg", "depth=3"], "give its arguments as --arg NAME=VALUE"),
        (["-o", "w.pt2", "--factory", "tests.models.networks:Linear"], "give each with --input"),
        (["-o", "w.pt2", "--factory", "nowhere"], "is not package.module:callable"),
        (["-o", "w.pt2", "--factory", "tests.models.networks:Lineal", *LINEAR[2:]], "has no 'Lineal'"),
        (["-o", "w.pt2", *LINEAR[:2], "--input", "x:FP32:-1,5"], "the network cannot take x [2, 5]"),
        (["-o", "w.pt2", *LINEAR[:2], "--input", "x:FP32:-1,-1"], "--lengths 16,32,64"),
        (["-o", "w.pt2", *LINEAR[:2], "--input", "x:BYTES:-1"], "BYTES need a preprocess"),
        (["-o", "w.pt2", "--arg", "width=3", "w.pt"], "there is no factory"),
        (["-o", "w.safetensors", "gone.pt"], "gone.pt: no such file"),
        (["-o", "w.pt2", "plain.pt"], "holds weights without a network"),
        (["-o", "w.safetensors", "script.pt"], "is TorchScript already"),
        (["-o", "w.pt2", "--config", "gone.yaml"], "no such file"),
        (["-o", "w.pt2", "--config", "serve_config.yaml", *LINEAR], "the config says that already"),
        (["-o", "out", "--mar", "gone.mar"], "no such file"),
        (["-o", "out", "--mar", "plain.pt", "--to", "pt2"], "goes with no SOURCE"),
    ],
)
def test_a_wrong_flag_is_one_sentence_a_way_out_and_status_2(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], says: str
) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save(Linear().state_dict(), "plain.pt")
    torch.jit.script(Linear()).save("script.pt")  # type: ignore[no-untyped-call]
    before = sorted(tmp_path.iterdir())
    status, output = export(*arguments)
    assert status == 2
    assert says in output.replace("\n", " ")
    assert "help: " in output
    assert "Traceback" not in output
    assert sorted(tmp_path.iterdir()) == before
