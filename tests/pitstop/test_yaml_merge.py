"""An edit leaves all other lines of a file as they are, whatever their layout, and PyYAML reads what was asked for."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from configs.loader import load
from configs.problems import value_at
from pitstop.yaml_edit.merge import merge
from pitstop.yaml_edit.patch import Change, patch

PROJECT = Path(__file__).resolve().parents[2]
# What ruamel.yaml would write otherwise: spaces, line breaks, and what YAML 1.1 and 1.2 read differently.
ODD = """\
octal: 010
not octal: 0o7
long:  1_000
minutes: 1:30
yes: on # true in YAML 1.1
nothing: ~
float: 1e3
flow: { x: 1,
        y: [1,   2] }   # two lines
text: |
  # no comment

  text

quoted: "two
  lines"
list:
- 1
- k: {a: 1}
  l: 2

deep:
    x: 1

    # of y
    y:
        z: 2

# the end
last: 1.50
"""


@pytest.mark.parametrize(
    "keys, value, line",
    [
        (("deep", "x"), 5, "    x: 5"),
        (("deep", "new"), 5, "    new: 5"),
        (("deep", "y", "new"), [1, 2], "        new: [1, 2]"),
        (("list", 1, "l"), 7, "  l: 7"),
        (("list", 1, "new"), 7, "  new: 7"),
        (("list", 0), 7, "- 7"),
        (("octal",), "x", "octal: x"),
        (("last",), 2.5, "last: 2.5"),
        (("new",), True, "new: true"),
    ],
)
def test_every_line_but_the_edited_one_stays_byte_for_byte(keys: tuple[str | int, ...], value: Any, line: str) -> None:
    before, after = ODD.splitlines(), patch(ODD, [Change(keys, value)]).splitlines()
    replaced = [each for each in before if each not in after]
    assert len(replaced) <= 1
    assert [each for each in after if each != line] == [each for each in before if each not in replaced]
    assert after.count(line) == 1


def test_what_was_on_several_lines_is_on_one_where_it_is_edited() -> None:
    assert "flow: {x: 1, y: [3]}    # two lines\ntext: |\n" in patch(ODD, [Change(("flow", "y"), [3])])


@pytest.mark.parametrize(
    "text", ["on", "no", "010", "0o7", "1_000", "1:30", "1e3", "~", "null", "2026-01-02", "=", "y", ""]
)
def test_text_that_looks_like_something_else_is_read_back_as_text(text: str) -> None:
    for keys in (("octal",), ("flow", "x"), ("list", 1, "l"), ("deep", "new")):
        assert value_at(yaml.safe_load(patch(ODD, [Change(keys, text)])), keys) == text


@pytest.mark.parametrize("value", [0.1, 1e-5, 1e20, -3, 8, True, False, [], [0.5, "no"], {"a": {"b": ["x: y"]}}])
def test_a_value_is_read_back_as_it_was_asked_for(value: Any) -> None:
    for keys in (("octal",), ("flow", "x"), ("list", 1, "l"), ("deep", "new")):
        assert value_at(yaml.safe_load(patch(ODD, [Change(keys, value)])), keys) == value


def test_the_loader_reads_the_words_of_yaml_1_1_as_before(tmp_path: Path) -> None:
    text = (PROJECT / "configs" / "mlp.yaml").read_text(encoding="utf-8")
    path = tmp_path / "mlp.yaml"
    path.write_text(patch(text, [Change(("applications", 1, "args", "source", "kwargs", "0o7"), ["on", 1e-5, "1:30"])]))
    assert load(path).models[0].config.source.kwargs["0o7"] == ["on", 1e-5, "1:30"]


def test_comments_at_the_end_of_a_block_stay_with_what_comes_next() -> None:
    assert merge(
        "a:\n  b: 1\n\n# of c\nc: 2", "a:\n  b: 1\n\n# of c\nc: 2\n", "a:\n  b: 1\n\n# of c\n  d: 3\nc: 2\n"
    ) == ("a:\n  b: 1\n  d: 3\n\n# of c\nc: 2")


def test_edits_that_fall_together_in_the_file_are_refused() -> None:
    text = "a: {b: 1,\n  c: 2, d: 3}\n"
    with pytest.raises(LookupError, match="overlap"):
        merge("a b\n", "a\nx\nb\n", "A\nx\nB\n")
    assert patch(text, [Change(("a", "b"), 2), Change(("a", "d"), 4)]) == "a: {b: 2, c: 2, d: 4}\n"
