import os
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from configs.loader import ModelApp, load
from models.sources.resolve import resolve
from models.sources.source import load as load_source
from pitstop.check.main import check_files
from pitstop.cli import app

from .archives import FILES, RENAMES, Net, archive, eager, labels, weights
from .exported import export

PROJECT = Path(__file__).resolve().parents[2]
CONFIG = "minWorkers: 1\nmaxWorkers: 4\nbatchSize: 8\nmaxBatchDelay: 50\nresponseTimeout: 60\nparallelType: pp\n"


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])


def served(path: str) -> ModelApp:
    """Return the one model of a config that `pitstop check` finds clean."""
    assert check_files([Path(path)]) == 0
    (app,) = load(path).models
    return app


def test_an_eager_archive_becomes_a_config_that_is_clean_and_serves_its_weights(tmp_path: Path) -> None:
    eager(tmp_path, more={"model-config.yaml": CONFIG}, configFile="model-config.yaml")
    status, output = export("--mar", "net.mar", "-o", "brought_eager")
    assert status == 0, output
    app = served("brought_eager/net.yaml")
    assert (app.config.version, app.config.max_batch_size) == ("1.0", 8)
    assert (app.tunables.batch_wait_timeout_s, app.tunables.request_timeout_s) == (0.05, 60)
    assert app.replicas["autoscaling_config"]["max_replicas"] == 4
    reference = Net()
    reference.load_state_dict(torch.load("net.pth", weights_only=True))
    rows = torch.rand(3, 3, 224, 224)
    assert torch.allclose(load_source(app.config.source)(rows), reference(rows), atol=1e-6)


def test_what_was_not_carried_over_is_said_and_stands_in_the_yaml(tmp_path: Path) -> None:
    more = {"model-config.yaml": CONFIG, "requirements.txt": "torchvision\n"}
    eager(tmp_path, more=more, configFile="model-config.yaml", requirementsFile="requirements.txt")
    _, output = export("--mar", "net.mar", "-o", "brought_lost")
    written = " ".join(Path("brought_lost/net.yaml").read_text().replace("#", " ").split())
    for lost in ("parallelType: pp: there is no such setting here", "requirements.txt: was copied; install it"):
        assert f"not carried over: {lost}" in output
        assert f"- {lost}" in written


def test_nothing_of_an_archive_runs_without_the_flag(tmp_path: Path) -> None:
    ran = "open('ran', 'w').write('x')\n"
    more = {"model.py": ran + FILES["model.py"], "handler.py": ran, "__init__.py": ran, "setup.py": ran}
    eager(tmp_path, more=more, handler="handler.py:handle")
    status, output = export(
        *("--mar", "net.mar", "-o", "brought_quiet", "--input", "x:FP32:-1,3,8,8", "--output", "y:FP32:-1,5")
    )
    assert status == 0, output
    assert "handler handler.py: its own code (functions of its own) is not run" in output
    assert not Path("ran").exists()


def test_the_code_of_a_trusted_archive_runs_elsewhere_and_its_own_key_names_are_honoured(tmp_path: Path) -> None:
    pid = "import os\n\nopen('ran', 'w').write(str(os.getpid()))\n"
    eager(tmp_path, "old.", more={"model.py": pid + FILES["model.py"] + RENAMES})
    status, output = export("--mar", "net.mar", "-o", "brought_trusted", "--trust-pickle")
    assert status == 0, output
    assert output.startswith("warning: ")
    assert int(Path("ran").read_text()) != os.getpid()
    assert "net.pth: off the archive's by at most 0.0e+00" in output
    assert "head.fc.weight" in load_source(served("brought_trusted/net.yaml").config.source).state_dict()


def test_a_torchscript_archive_is_carried_as_it_is_and_its_outputs_are_found(tmp_path: Path) -> None:
    torch.jit.script(Net().eval()).save("net.pt")  # type: ignore[no-untyped-call]
    content = Path("net.pt").read_bytes()
    archive(tmp_path / "net.mar", {"net.pt": content}, serializedFile="net.pt", handler="base_handler")
    status, output = export("--mar", "net.mar", "-o", "brought_script", "--input", "x:FP32:-1,3,8,8")
    assert status == 0, output
    assert Path("brought_script/model.pt").read_bytes() == content
    assert served("brought_script/net.yaml").config.outputs[0].shape == (-1, 5)


def test_the_folder_of_an_archive_is_taken_too(tmp_path: Path) -> None:
    with zipfile.ZipFile(eager(tmp_path)) as source:
        source.extractall("unpacked")
    status, output = export("--mar", "unpacked", "-o", "brought_folder", "--name", "renamed")
    assert status == 0, output
    assert served("brought_folder/renamed.yaml").route_prefix == "/v2/models/renamed"


def test_the_image_hooks_do_what_image_classifier_did(tmp_path: Path) -> None:
    eager(tmp_path)
    assert export("--mar", "net.mar", "-o", "brought_hooks")[0] == 0
    predict = served("brought_hooks/net.yaml").config.predict
    assert predict.decode is not None
    assert predict.encode is not None
    row = resolve(predict.decode)((PROJECT / "examples" / "seven.png").read_bytes())
    assert (row.shape, row.dtype) == ((1, 3, 224, 224), np.float32)
    with pytest.raises(ValueError, match="not a readable image"):
        resolve(predict.decode)(b"no image")
    scores = np.array([0, 1, 4, 2, 3], np.float32)
    answer = resolve(predict.encode)({"scores": scores})
    assert list(answer) == ["name2", "name4", "name3", "name1", "name0"]
    assert answer["name2"] == pytest.approx(np.exp(4) / np.exp(scores.astype(float)).sum())


def test_init_takes_an_archive_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PITSTOP_CACHE", str(tmp_path / "cache"))
    torch.jit.script(Net().eval()).save("net.pt")  # type: ignore[no-untyped-call]
    parts: dict[str, str | bytes] = {"net.pt": Path("net.pt").read_bytes(), "model-config.yaml": "batchSize: 2\n"}
    model = {"serializedFile": "net.pt", "handler": "base_handler", "configFile": "model-config.yaml"}
    archive(tmp_path / "net.mar", parts, **model)
    found = CliRunner().invoke(app, ["init", "net.mar", "--input", "x:FP32:-1,3,8,8", "--out", "brought_init"])
    assert found.exit_code == 0, found.output
    assert served("brought_init/serve.yaml").config.max_batch_size == 2


def test_a_failed_import_leaves_no_folder(tmp_path: Path) -> None:
    eager(tmp_path, handler="base_handler")
    status, output = export("--mar", "net.mar", "-o", "brought_failed")
    assert status == 2
    assert "--input" in output
    assert not Path("brought_failed").exists()


@pytest.mark.parametrize("folder", ["not-a-name", "../elsewhere", "json", "."])
def test_a_folder_that_cannot_be_imported_from_is_refused(tmp_path: Path, folder: str) -> None:
    eager(tmp_path)
    before = sorted(tmp_path.iterdir())
    status, output = export("--mar", "net.mar", "-o", folder)
    assert status == 2
    assert "help: " in output
    assert sorted(tmp_path.iterdir()) == before


@pytest.mark.parametrize(
    "model, says",
    [
        ({}, "names no serializedFile"),
        ({"serializedFile": "net.onnx"}, "is no PyTorch checkpoint"),
        ({"serializedFile": "gone.pth"}, "which is not in it"),
        ({"serializedFile": "../net.pth"}, "which is not in it"),
        ({"serializedFile": "net.pth"}, "holds weights and no modelFile"),
        ({"serializedFile": "net.pth", "modelFile": "two.py"}, "TorchServe wants exactly one class"),
        ({"serializedFile": "net.pth", "modelFile": "model.py", "modelName": "a b"}, "name"),
        ({"serializedFile": "net.pth", "modelFile": "model.py", "handler": "object_detector"}, "does not imply it"),
        (
            {"serializedFile": "net.pth", "modelFile": "model.py", "handler": "image_segmenter"},
            "what its model returns",
        ),
        ({"serializedFile": "pickle.pth", "modelFile": "model.py"}, "--trust-pickle"),
    ],
)
def test_an_archive_that_cannot_be_served_says_why(tmp_path: Path, model: dict[str, str], says: str) -> None:
    torch.save(Net(), "pickle.pth")
    parts = {"net.pth": weights(tmp_path / "net.pth").read_bytes(), "pickle.pth": Path("pickle.pth").read_bytes()}
    two = "class A: ...\nclass B: ...\n"
    files: dict[str, str | bytes] = {**FILES, **parts, "net.onnx": b"", "two.py": two, "index_to_name.json": labels()}
    archive(tmp_path / "net.mar", files, **model)
    status, output = export("--mar", "net.mar", "-o", "brought_never")
    assert status == 2
    assert says in output
    assert "help: " in output
    assert not Path("brought_never").exists()
