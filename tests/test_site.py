"""The site that `make docs` builds has every page of docs/, as GitHub shows it, and loads nothing from another host."""

import re
from collections.abc import Iterator
from html.parser import HTMLParser
from itertools import zip_longest
from pathlib import Path

import pytest
from markdown_it import MarkdownIt
from mkdocs.commands.build import build
from mkdocs.config import load_config
from mkdocs.exceptions import Abort

from tests.serving import PROJECT

DOCS = PROJECT / "docs"
GITHUB = MarkdownIt("commonmark").enable(["table", "strikethrough"])
SHAPES = {"h1", "h2", "h3", "h4", "ul", "ol", "li", "table", "tr", "th", "td", "pre", "code", "blockquote", "img", "a"}
LOADS = {"script": "src", "link": "href", "img": "src", "iframe": "src", "source": "src"}


def built(folder: Path, docs: Path = DOCS) -> Path:
    build(load_config(str(PROJECT / "mkdocs.yml"), docs_dir=str(docs), site_dir=str(folder), strict=True))
    return folder


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return built(tmp_path_factory.mktemp("site"))


def test_every_page_of_docs_is_in_the_navigation(site: Path) -> None:
    links = re.findall(r'<a href="([^"]+)" class="md-nav__link', (site / "index.html").read_text())
    assert {page.stem for page in DOCS.glob("*.md")} - {"README"} <= {link.removesuffix(".html") for link in links}


def test_no_page_loads_anything_from_another_host(site: Path) -> None:
    loaded = {page.name: read(page.read_text()).loaded for page in site.rglob("*.html")}
    loaded |= {sheet.name: re.findall(r"""url\(["']?([^)]+)""", sheet.read_text()) for sheet in site.rglob("*.css")}
    assert sum(map(len, loaded.values())) > 4 * len(loaded) > 100
    assert [(name, url) for name, urls in loaded.items() for url in urls if re.match(r"(\w+:)?//", url)] == []


def test_every_page_reads_as_on_github(site: Path) -> None:
    pages = dict(sources(site))
    assert len(pages) > len(list(DOCS.glob("*.md")))
    differ = {}
    for page, source in pages.items():
        both = f"<article>{GITHUB.render(source.read_text())}</article>", page.read_text()
        lines = zip_longest(*(read(each).article.splitlines() for each in both))
        if pair := next((pair for pair in lines if pair[0] != pair[1]), None):
            differ[source.name] = pair
    assert differ == {}


BROKEN = {"anchor": "[x](#gone)", "page": "[x](gone.md)", "file": "![x](../gone.png)", "absolute": "[x](/README.md)"}


@pytest.mark.parametrize("text", [*BROKEN.values(), None], ids=[*BROKEN, "unlisted page"])
def test_what_is_broken_stops_the_build(text: str | None, tmp_path: Path) -> None:
    (docs := tmp_path / "docs").mkdir()
    (docs / "README.md").write_text("# Pages\n\n## Group\n\n- [A](a.md): a page\n")
    (docs / "a.md").write_text("# A\n")
    built(tmp_path / "site", docs)
    (docs / ("a.md" if text else "b.md")).write_text(f"# A\n\n{text}\n")
    with pytest.raises(Abort):
        built(tmp_path / "site", docs)


def test_the_page_of_a_path_that_is_not_there_has_links_below_the_site_s_own_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (docs := tmp_path / "docs").mkdir()
    (docs / "README.md").write_text("# Pages\n\n## Group\n\n- [A](a.md): a page\n")
    (docs / "a.md").write_text("# A\n")
    monkeypatch.setenv("SITE_URL", "https://host/sub/path/")
    links = re.findall(r'(?:href|src)="(/[^"]*)"', (built(tmp_path / "site", docs) / "404.html").read_text())
    assert "/sub/path/a.html" in links
    assert [link for link in links if not link.startswith("/sub/path/")] == []


def sources(site: Path) -> Iterator[tuple[Path, Path]]:
    """Yield each page that was written in Markdown, with its source."""
    for page in site.rglob("*.html"):
        path = page.relative_to(site).with_suffix(".md")
        source = PROJECT / path.relative_to("repository") if path.parts[0] == "repository" else DOCS / path
        for each in (source, source.with_name("README.md") if source.stem == "index" else source):
            if each.exists():
                yield page, each
                break


class Reader(HTMLParser):
    """What a page loads, and its article: a line for each tag that shapes it, with the text behind, without spaces."""

    def __init__(self) -> None:
        super().__init__()
        self.loaded: list[str] = []
        self.article = ""
        self._shown = self._link_to_heading = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag in LOADS and (url := given.get(LOADS[tag])):
            self.loaded.append(url)
        self._shown |= tag == "article"
        self._link_to_heading = given.get("class") == "headerlink"
        if self._shown and not self._link_to_heading and tag in SHAPES:
            self.article += f"\n<{tag}>"

    def handle_endtag(self, tag: str) -> None:
        self._shown &= tag != "article"
        self._link_to_heading = False

    def handle_data(self, data: str) -> None:
        if self._shown and not self._link_to_heading:
            self.article += "".join(data.split())


def read(html: str) -> Reader:
    reader = Reader()
    reader.feed(html)
    return reader
