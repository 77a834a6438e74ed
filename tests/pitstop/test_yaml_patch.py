from pathlib import Path
from typing import Any

import pytest
import yaml

from configs.loader import load
from configs.problems import value_at
from pitstop.yaml_edit.patch import Change, PatchError, diff, patch, write

PROJECT = Path(__file__).resolve().parents[2]
FILES = [PROJECT / "serve_config.yaml", *sorted((PROJECT / "configs").glob("*.yaml"))]
SHIPPED = [path for path in FILES if "applications" in yaml.safe_load(path.read_text(encoding="utf-8"))]
MODEL: tuple[str | int, ...] = ("applications", 1)


def test_a_value_is_replaced_and_its_comment_and_quotes_stay() -> None:
    assert patch("a: 1 # one\nb: 'x'\n", [Change(("a",), 2), Change(("b",), "y")]) == "a: 2 # one\nb: 'y'\n"


def test_a_new_key_goes_below_its_neighbours_before_the_comments_that_follow() -> None:
    text = "a:\n  b: 1 # one\n\n# of c\nc: 2\n"
    assert patch(text, [Change(("a", "d"), True)]) == "a:\n  b: 1 # one\n  d: true\n\n# of c\nc: 2\n"


def test_missing_parents_are_written_too() -> None:
    assert patch("a: 1", [Change(("b", "c", "d"), 1.5)]) == "a: 1\nb:\n  c:\n    d: 1.5"


def test_a_mapping_on_one_line_stays_on_one_line() -> None:
    assert patch("a: {b: 1}\nc: {}\n", [Change(("a", "d"), [1, 2])]) == "a: {b: 1, d: [1, 2]}\nc: {}\n"
    assert patch("c: {}\n", [Change(("c", "d"), "x: y")]) == "c: {d: 'x: y'}\n"


def test_an_item_of_a_list_is_found_by_its_index() -> None:
    assert patch("a:\n- b: 1\n- b: 2 # two\n", [Change(("a", 1, "b"), 3)]) == "a:\n- b: 1\n- b: 3 # two\n"


def test_a_text_block_at_the_end_is_not_broken() -> None:
    assert patch("a:\n  b: |\n    x\n\nc: 1\n", [Change(("a", "d"), 1)]) == "a:\n  b: |\n    x\n  d: 1\n\nc: 1\n"


def test_an_alias_gets_a_copy_of_its_own() -> None:
    text = "a: &x\n  - n: 1 # one\nb: *x # b\n"
    expected = "a: &x\n  - n: 1 # one\nb:\n  - n: 2\n      # b\n"
    assert patch(text, [Change(("b", 0, "n"), 2)]) == expected


def test_those_that_shared_a_block_keep_what_they_had() -> None:
    assert patch("a: &x {n: 1}\nb: *x\n", [Change(("a", "n"), 2)]) == "a: &x {n: 2}\nb:\n  n: 1\n"
    merged = "a: &x {n: 1, m: 1}\nb:\n  <<: *x\n  m: 2\n"
    assert patch(merged, [Change(("a", "n"), 2)]) == "a: &x {n: 2, m: 1}\nb:\n  <<: *x\n  m: 2\n  n: 1\n"
    assert patch(merged, [Change(("a", "m"), 3)]) == "a: &x {n: 1, m: 3}\nb:\n  <<: *x\n  m: 2\n"


def test_a_merged_value_is_overridden_where_it_was_meant() -> None:
    text = "a: &x {n: 1, deep: {p: 1, q: 2}}\nb:\n  <<: *x\n"
    assert patch(text, [Change(("b", "n"), 2)]).endswith("b:\n  <<: *x\n  n: 2\n")
    after = yaml.safe_load(patch(text, [Change(("b", "deep", "p"), 7)]))
    assert after == {"a": {"n": 1, "deep": {"p": 1, "q": 2}}, "b": {"n": 1, "deep": {"p": 7, "q": 2}}}


def test_a_key_new_to_a_shared_block_leaves_the_others_at_the_default() -> None:
    text = "a: &x {n: 1}\nb: {<<: *x}\n"
    patched = patch(text, [Change(("a", "precision"), "bf16", default="fp32")])
    assert yaml.safe_load(patched)["b"] == {"n": 1, "precision": "fp32"}
    with pytest.raises(PatchError, match=r"a\.precision cannot be changed.*\nhelp: write bf16 there by hand"):
        patch(text, [Change(("a", "precision"), "bf16")])


def test_what_is_as_wanted_is_not_touched() -> None:
    text = "a:   1   # odd spacing\n"
    assert patch(text, [Change(("a",), 1)]) == text


def test_a_place_that_cannot_be_is_refused() -> None:
    with pytest.raises(PatchError, match=r"a\[3\]\.b cannot be changed"):
        patch("a: [1]\n", [Change(("a", 3, "b"), 1)])


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.name)
def test_every_model_of_every_shipped_config_can_be_changed_alone(path: Path) -> None:
    text, raw = path.read_text(encoding="utf-8"), yaml.safe_load(path.read_text(encoding="utf-8"))
    for index, app in enumerate(raw["applications"]):
        if app["import_path"] != "deployments.app:model":
            continue
        base: tuple[str | int, ...] = ("applications", index)
        deployment = (*base, "deployments", 0)
        changes = [
            Change((*base, "args", "precision"), "bf16", default="fp32"),
            Change((*base, "args", "num_cpus"), 2, default=1),
            Change((*deployment, "num_replicas"), 7),
            Change((*deployment, "user_config", "batch_wait_timeout_s"), 2.5, default=0),
        ]
        patched = patch(text, changes)
        assert [value_at(yaml.safe_load(patched), each.keys) for each in changes] == ["bf16", 2, 7, 2.5]
        assert _comments(patched) == _comments(text)
        others = [i for i in range(len(raw["applications"])) if i != index]
        assert [_effective(patched, i) for i in others] == [_effective(text, i) for i in others]


def test_a_file_is_replaced_whole_and_keeps_its_mode(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_text("a: 1\n")
    path.chmod(0o640)
    write(path, "a: 2\n")
    assert path.read_text() == "a: 2\n"
    assert path.stat().st_mode & 0o777 == 0o640
    assert [each.name for each in tmp_path.iterdir()] == ["a.yaml"]


def test_a_diff_names_the_file() -> None:
    shown = diff("a: 1\n", "a: 2\n", Path("x.yaml"))
    assert shown.splitlines()[0] == "--- x.yaml"
    assert "-a: 1\n+a: 2\n" in shown


def test_a_patched_config_still_loads(tmp_path: Path) -> None:
    text = (PROJECT / "serve_config.yaml").read_text(encoding="utf-8")
    path = tmp_path / "serve_config.yaml"
    path.write_text(patch(text, [Change((*MODEL, "deployments", 0, "user_config", "max_batch_size"), 8)]))
    assert [app.tunables.max_batch_size for app in load(path).models] == [8, None]


def _comments(text: str) -> list[str]:
    return [line.partition("#")[2] for line in text.splitlines() if "#" in line]


def _effective(text: str, index: int) -> dict[str, Any]:
    """Return an application with the schema's defaults for what these tests change."""
    app: dict[str, Any] = yaml.safe_load(text)["applications"][index]
    args = {"precision": "fp32", "num_cpus": 1, **app.get("args", {})}
    return {**app, "args": args}
