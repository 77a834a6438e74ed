"""The files that networks come in, written once, in the folder that a start looks them up in."""

from pathlib import Path

import pytest

from . import files


@pytest.fixture(scope="session")
def _folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("coverage")
    files.write(folder)
    return folder


@pytest.fixture(autouse=True)
def _in_the_folder(_folder: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(_folder)
    monkeypatch.setenv("PITSTOP_CACHE", str(tmp_path))
