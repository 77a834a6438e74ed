"""The config that `pitstop plan` has served, without a server."""

from pathlib import Path
from typing import Any

import pytest

from pitstop.plan.serving import _locate


def test_files_of_the_working_directory_are_found_from_another_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("net.py", "w.pt", "rows.txt"):
        (tmp_path / name).write_text("")
    args: dict[str, Any] = {
        "source": {"factory": "net.py:Net", "weights": "w.pt"},
        "preprocess": "net.py:prepare",
        "postprocess": "net.py:answer",
        "handler": "net.py:Handler",
        "predict": {"decode": "gone.py:f", "encode": "package.module:f"},
        "torchscript": "script",
        "example": ["rows.txt", "net.py:rows", "package.module:rows", "https://host/rows.txt"],
    }
    _locate(args)
    assert args == {
        "source": {"factory": f"{tmp_path}/net.py:Net", "weights": f"{tmp_path}/w.pt"},
        "preprocess": f"{tmp_path}/net.py:prepare",
        "postprocess": f"{tmp_path}/net.py:answer",
        "handler": f"{tmp_path}/net.py:Handler",
        "predict": {"decode": "gone.py:f", "encode": "package.module:f"},
        "torchscript": "script",
        "example": [f"{tmp_path}/rows.txt", f"{tmp_path}/net.py:rows", "package.module:rows", "https://host/rows.txt"],
    }
