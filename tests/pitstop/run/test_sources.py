"""Which files are watched, and when a change of one counts."""

import os
from pathlib import Path
from typing import Any

import pytest

from pitstop.run.sources import Sources, behind, wrong_syntax


@pytest.fixture
def raw(tmp_path: Path) -> dict[str, Any]:
    """A config of one model with a network, what that imports, and a hook."""
    for name, text in {
        "net.py": "from . import scale\nimport json\n",
        "scale.py": "factor = 2\n",
        "hook.py": "",
        "config.yaml": "",
    }.items():
        (tmp_path / name).write_text(text)
    args = {"source": {"factory": f"{tmp_path / 'net.py'}:Net"}, "predict": {"decode": f"{tmp_path / 'hook.py'}:read"}}
    return {"applications": [{"name": "m", "args": args}, {"name": "root"}]}


def write(file: Path, text: str) -> None:
    """Write a file at a time that no earlier write has."""
    before = file.stat().st_mtime_ns if file.exists() else 0
    file.write_text(text)
    os.utime(file, ns=(before + 10**9, before + 10**9))


def test_behind_a_model_is_its_network_what_that_imports_and_its_hooks(raw: dict[str, Any], tmp_path: Path) -> None:
    assert behind(raw) == {"m": {tmp_path / name for name in ("net.py", "scale.py", "hook.py")}, "root": set()}


def test_a_change_counts_once_it_has_rested(raw: dict[str, Any], tmp_path: Path) -> None:
    sources = Sources(tmp_path / "config.yaml", raw)
    assert sources.changed() == set()
    write(tmp_path / "scale.py", "factor = 3\n")
    assert sources.changed() == set()
    write(tmp_path / "scale.py", "factor = 30\n")
    assert sources.changed() == set()
    assert sources.changed() == {tmp_path / "scale.py"}
    sources.look(raw)
    assert sources.changed() == set()


def test_the_config_is_watched_and_so_is_a_file_that_goes(raw: dict[str, Any], tmp_path: Path) -> None:
    sources = Sources(tmp_path / "config.yaml", raw)
    write(tmp_path / "config.yaml", "a: b")
    (tmp_path / "hook.py").unlink()
    sources.changed()
    assert sources.changed() == {tmp_path / "config.yaml", tmp_path / "hook.py"}


def test_an_import_that_is_new_is_watched_from_then_on(raw: dict[str, Any], tmp_path: Path) -> None:
    sources = Sources(tmp_path / "config.yaml", raw)
    (tmp_path / "more.py").write_text("")
    write(tmp_path / "net.py", "from . import more\n")
    sources.look(raw)
    write(tmp_path / "more.py", "x = 1\n")
    sources.changed()
    assert sources.changed() == {tmp_path / "more.py"}
    sources.look(raw)
    assert sources.code() == {"m"}


def test_code_that_is_as_it_was_deployed_is_no_new_code(raw: dict[str, Any], tmp_path: Path) -> None:
    sources = Sources(tmp_path / "config.yaml", raw)
    for text, code in (("factor = = 3\n", {"m"}), ("factor = 2\n", set[str]())):
        write(tmp_path / "scale.py", text)
        sources.changed()
        assert sources.changed() == {tmp_path / "scale.py"}
        sources.look(None)
        assert sources.code() == code


def test_a_file_that_is_saved_as_it_was_has_not_changed(raw: dict[str, Any], tmp_path: Path) -> None:
    sources = Sources(tmp_path / "config.yaml", raw)
    write(tmp_path / "scale.py", "factor = 2\n")
    assert (sources.changed(), sources.changed()) == (set(), set())


def test_what_was_deployed_is_not_new_any_more(raw: dict[str, Any], tmp_path: Path) -> None:
    sources = Sources(tmp_path / "config.yaml", raw)
    write(tmp_path / "net.py", "from . import scale\n")
    sources.look(raw)
    assert sources.code() == {"m"}
    sources.deployed()
    assert sources.code() == set()


def test_a_file_that_is_no_python_gets_a_sentence_with_its_line(tmp_path: Path) -> None:
    (tmp_path / "bad.py").write_text("x = 1\ny = = 2\n")
    (tmp_path / "good.py").write_text("x = 1\n")
    (tmp_path / "other.yaml").write_text("y = = 2\n")
    [found] = wrong_syntax(tmp_path.iterdir())
    assert found.startswith(f"{tmp_path / 'bad.py'}:2: invalid syntax\nhelp: ")
