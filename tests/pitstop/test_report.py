"""What all reports share: templates that are shipped and filled in safely, tables, and how figures are written."""

import tomllib
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
import yaml
from jinja2 import UndefinedError

from configs.problems import ConfigError
from pitstop.report import folder, markdown, numbers
from pitstop.report.render import render, yaml_block, yaml_text

PROJECT = Path(__file__).resolve().parents[2]
TEXTS = [
    "plain", "", "0", "007", "1e3", "0x1", "yes", "null", "~", "2026-11-01", "a:b", "a: b", "a #b", "#", "- a", "[a]",
    "{a", "'", '"', "&a", "*a", "!!a", "%a", "@a", "`a`", "|", ">", "?", "<<", "---", "...", " a ", "a\nb", "a\tb",
    "\x00", "\x7f", "\x85", "\u2028", "é", "\U0001f600", "a" * 300 + " b" * 300,
]  # fmt: skip


@pytest.mark.parametrize("text", TEXTS)
def test_any_text_in_a_template_is_one_line_of_yaml_that_reads_as_it_was(text: str) -> None:
    written = yaml_text(text)
    assert len(written.splitlines()) == 1
    assert yaml.safe_load(f"key:\n- {written}\n- inner: {written}\n") == {"key": [text, {"inner": text}]}


@pytest.mark.parametrize("text", ["a\n", "a: b\n  c\n\nd\n", "  a\nb\n", "\n\na\n", "a", "# a\n", "\x00\n"])
def test_a_block_reads_as_it_was(text: str) -> None:
    indented = yaml_block(text).replace("\n", "\n  ")
    assert yaml.safe_load(f"outer:\n  key: {indented}\n  next: 1\n") == {"outer": {"key": text, "next": 1}}


def test_every_template_is_package_data() -> None:
    found = files("pitstop.report").joinpath("templates")
    here = Path(str(found))
    shipped: dict[str, Any] = tomllib.loads((PROJECT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]
    patterns = shipped["setuptools"]["package-data"]["pitstop.report"]
    covered = {path for pattern in patterns for path in here.parent.glob(pattern)}
    assert covered == {path for path in here.rglob("*") if path.is_file()}
    assert "{% block" in found.joinpath("base.html.j2").read_text(encoding="utf-8")


def test_what_a_template_needs_and_does_not_get_is_an_error() -> None:
    with pytest.raises(UndefinedError, match="title"):
        render("base.html.j2")


def test_a_page_escapes_its_values() -> None:
    page = render("base.html.j2", title="<b>&", command="'<i>'", made_on="here")
    assert "<h1>&lt;b&gt;&amp;</h1>" in page
    assert "<i>" not in page


def test_a_table_has_a_rule_below_its_heads_and_no_cell_breaks_it() -> None:
    lines = markdown.table(["what", "how many"], [["a | b", "1"]], "lr")
    assert lines == ["| what | how many |", "|---|---:|", "| a &#124; b | 1 |"]


@pytest.mark.parametrize(
    "value, text",
    [(0.0987, "0.0987"), (0.1, "0.100"), (9.87, "9.87"), (99.96, "100"), (987.4, "987"), (98_765, "98,800"), (0, "0")],
)
def test_figures_have_three_digits(value: float, text: str) -> None:
    assert numbers.number(value) == text


@pytest.mark.parametrize("value, text", [(None, ""), (0.0, "0"), (3.2e-7, "3e-07"), (0.0273, "0.027"), (2.06, "2.1")])
def test_deviations_are_short(value: float | None, text: str) -> None:
    assert numbers.deviation(value) == text


@pytest.mark.parametrize(
    "value, text",
    [(0.0, "0"), (0.1416, "0.142"), (9.876, "9.88"), (104.6, "105"), (999.6, "1,000"), (23_757.4, "23,757")],
)
def test_precise_figures_keep_all_digits_before_the_point(value: float, text: str) -> None:
    assert numbers.precise(value) == text


@pytest.mark.parametrize("value, text", [(None, "?"), (0.1234, "0.123 ms"), (12.34, "12.3 ms"), (1234.5, "1,234 ms")])
def test_a_time_without_a_bound_is_a_question_mark(value: float | None, text: str) -> None:
    assert numbers.milliseconds(value) == text


def test_one_has_no_plural() -> None:
    assert [numbers.plural(count, "row") for count in (0, 1, 2_000)] == ["0 rows", "1 row", "2,000 rows"]


def test_a_folder_that_cannot_be_written_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="help: name another folder"):
        folder.write(tmp_path / "file", {"page.html": "text"})
