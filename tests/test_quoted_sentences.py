"""What docs/faq.md and docs/debugging-a-start.md quote in bold is what the code says; `…` stands for what varies."""

import ast
import functools
import re
from pathlib import Path

import pytest

from tests.serving import PROJECT

PAGES = [PROJECT / "docs" / name for name in ("faq.md", "debugging-a-start.md")]
PACKAGES = ("configs", "models", "deployments", "pitstop")
_QUOTED = re.compile(r"\*\*`([^`]+)`\*\*|\*\*``(.+?)``\*\*")


def quoted(page: Path) -> list[str]:
    return [(one or other).strip() for one, other in _QUOTED.findall(page.read_text())]


@functools.cache
def said() -> str:
    """Every piece of text in the packages' code: of an f-string what stands between its values."""
    files = [file for package in PACKAGES for file in (PROJECT / package).rglob("*.py")]
    nodes = (node for file in files for node in ast.walk(ast.parse(file.read_text())))
    return "\0".join(node.value for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str))


@pytest.mark.parametrize("page, sentence", [(page.stem, each) for page in PAGES for each in quoted(page)])
def test_every_sentence_that_is_quoted_is_in_the_code(page: str, sentence: str) -> None:
    pieces = [piece.strip() for piece in sentence.split("…") if piece.strip()]
    assert len(" ".join(pieces).split()) >= 2, f"{page}: too little of it is fixed"
    assert [piece for piece in pieces if piece not in said()] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_the_pages_quote_what_users_meet(page: Path) -> None:
    assert len(quoted(page)) >= 20
    assert len(set(quoted(page))) == len(quoted(page))


def test_a_sentence_that_the_code_does_not_say_is_found() -> None:
    assert "the queue is full" in said()
    assert "the queue is fully booked" not in said()
