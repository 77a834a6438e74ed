"""What docs/faq.md and docs/debugging-a-start.md quote in bold is what the code says; `…` stands for what varies."""

import ast
import functools
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.serving import PROJECT

PAGES = [PROJECT / "docs" / name for name in ("faq.md", "debugging-a-start.md")]
PACKAGES = ("configs", "models", "deployments", "pitstop")
# The code puts these together of several strings; each fixed part is in one of them.
COMPOSED = {
    "Ray has no room for … replica…: each reserves …, free is …",
    "Ready at …: …. … Ctrl-C stops it.",
    "a row alone and in a batch … differs by …",
    "at … rows, … differs by …",
    "has no such key…, and would drop it without a message",
    "its start …ended the process with exit status …",
    "its start …ended the process with signal …: out of memory?",
    "its start …took longer than … s",
    "the same input, asked twice, … differs by …",
    "… is …, but Ray Serve needs …",
}
_QUOTED = re.compile(r"\*\*`([^`]+)`\*\*|\*\*``(.+?)``\*\*")
_DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
# Stands for a value in an f-string; no page quotes it.
_VALUE = "\0"


def quoted(page: Path) -> list[str]:
    return [(one or other).strip() for one, other in _QUOTED.findall(page.read_text())]


@functools.cache
def said() -> tuple[str, ...]:
    """Return every string of the packages' code that is no docstring; an f-string is one."""
    files = [file for package in PACKAGES for file in (PROJECT / package).rglob("*.py")]
    return tuple(text for file in files for text in _strings(ast.parse(file.read_text())))


def _strings(tree: ast.AST) -> Iterator[str]:
    parts = set[ast.AST]()
    for node in ast.walk(tree):
        if isinstance(node, _DOCUMENTED) and ast.get_docstring(node) is not None:
            first = node.body[0]
            assert isinstance(first, ast.Expr)
            parts.add(first.value)
        elif isinstance(node, ast.JoinedStr):
            parts.update(node.values)
            yield "".join(str(each.value) if isinstance(each, ast.Constant) else _VALUE for each in node.values)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and node not in parts:
            yield node.value


def is_said(sentence: str) -> bool:
    """Whether one string has the sentence's fixed parts in this order."""
    found = re.compile(".*".join(re.escape(part) for part in sentence.split("…")), re.DOTALL)
    return any(found.search(text) for text in said())


@pytest.mark.parametrize("page, sentence", [(page.stem, each) for page in PAGES for each in quoted(page)])
def test_every_sentence_that_is_quoted_is_in_the_code(page: str, sentence: str) -> None:
    parts = [part.strip() for part in sentence.split("…") if part.strip()]
    assert len(" ".join(parts).split()) >= 2, f"{page}: too little of it is fixed"
    assert [each for each in (parts if sentence in COMPOSED else [sentence]) if not is_said(each)] == []


def test_what_is_listed_as_composed_is_quoted_and_in_no_single_string() -> None:
    assert {sentence for page in PAGES for sentence in quoted(page)} >= COMPOSED
    assert [sentence for sentence in COMPOSED if is_said(sentence)] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_the_pages_quote_what_users_meet(page: Path) -> None:
    assert len(quoted(page)) >= 20
    assert len(set(quoted(page))) == len(quoted(page))


@pytest.mark.parametrize(
    "sentence, there",
    [
        ("the queue is full", True),
        ("there is no model … here; the models are: …", True),
        ("the models are: … there is no model … here", False),
        ("the queue is fully booked", False),
        # A docstring of pitstop/run/screen.py.
        ("The terminal of one run.", False),
    ],
)
def test_a_sentence_is_found_in_one_string_in_its_order_and_in_no_docstring(sentence: str, there: bool) -> None:
    assert is_said(sentence) == there
