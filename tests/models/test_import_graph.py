"""The files behind what a config names, found without importing any."""

from pathlib import Path

import pytest

from models.compile.import_graph import files_of


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    return tmp_path


def write(here: Path, **files: str) -> None:
    for name, text in files.items():
        path = here / f"{name.replace('__', '/')}.py"
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)


def test_modules_and_files_are_found_wherever_a_config_names_them(here: Path) -> None:
    write(here, graph_a="", graph_b="", graph_c="raise SystemExit('imported')")
    named = {
        "factory": "graph_a:Net",
        "hooks": ["graph_b.py:read", "no_such.py:x", "s3://bucket/x"],
        "n": {"x": "graph_c:f"},
    }
    assert files_of(named) == {here / f"graph_{each}.py" for each in "abc"}


def test_what_they_import_is_followed_also_to_a_file_s_neighbours(here: Path) -> None:
    write(
        here,
        folder__net="from . import near\nimport graph_far\nimport yaml\n",
        folder__near="import json\n",
        graph_far="",
    )
    assert files_of("folder/net.py:Net") == {here / "folder/net.py", here / "folder/near.py", here / "graph_far.py"}


def test_a_bundled_network_counts_and_the_rest_of_pitstop_does_not() -> None:
    found = {path.name for path in files_of("models.zoo.digits:Digits")}
    assert "digits.py" in found
    assert "schema.py" not in found


@pytest.mark.parametrize("named", ["", "plain text: more", "a.b-c:d", ":", None, 3, "no_such_module.at_all:x"])
def test_what_names_no_code_has_no_files(named: object) -> None:
    assert files_of(named) == set()
