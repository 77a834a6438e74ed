"""The peers' environments, without pip: what they share with the project."""

import json
from pathlib import Path

import pytest

from benchmarks import cache, venvs


def test_an_environment_finds_the_project_where_it_is_now(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(cache.VARIABLE, str(tmp_path))
    folder = cache.environment("peer")
    site = folder / "lib" / "python3.12" / "site-packages"
    site.mkdir(parents=True)
    (site / "shared.pth").write_text("/where/the/project/was\n")
    (folder / "installed.json").write_text(json.dumps(["peer==1"]))
    assert venvs.python("peer", ("peer==1",)) == folder / "bin" / "python"
    assert (site / "shared.pth").read_text() == f"{venvs.shared()}\n"
