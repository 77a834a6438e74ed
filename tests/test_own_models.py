"""docs/own-models.md shows the files of examples/own as they are, and each opens though no signature is written."""

import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.own_models import FOLDER, MODELS, blocks, trained
from tests.serving import PROJECT


def test_the_page_shows_the_networks_and_the_applications_as_they_are() -> None:
    networks = [text for text in blocks("python") if text.startswith("# examples/")]
    assert [text.partition("\n")[0] for text in networks] == [f"# {FOLDER / name}.py" for name in MODELS]
    for text, name in zip(networks, MODELS, strict=True):
        assert text.partition("\n")[2] == (PROJECT / FOLDER / f"{name}.py").read_text()
    config = (PROJECT / FOLDER / "serve.yaml").read_text()
    for text in blocks("yaml"):
        assert text in config
        assert len(text.splitlines()) <= 12


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return trained(tmp_path_factory.mktemp("clone"))


@pytest.mark.parametrize("name", MODELS)
def test_each_model_opens_without_a_signature(clone: Path, name: str) -> None:
    command = [sys.executable, "-m", "pitstop", "check", str(FOLDER / "serve.yaml"), "--load", "--model", name]
    found = subprocess.run(command, cwd=clone, capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stdout
    assert f"{name}: opens on" in found.stdout
    [application] = [
        each
        for each in yaml.safe_load((clone / FOLDER / "serve.yaml").read_text())["applications"]
        if each["name"] == name
    ]
    assert not {"inputs", "outputs"} & application["args"].keys()
