"""The site's navigation is the list in docs/README.md, and its pages may link to every file of the repository.

Links stay as GitHub reads them: a file's name is its path in the repository. Files outside docs/ go below repository/.
"""

import re
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files, InclusionLevel

_LINK = re.compile(r"\]\(([^)\s#]+)")


def on_config(config: MkDocsConfig) -> None:
    """Set the navigation: a group for each heading of docs/README.md, a page for the first link of each item."""
    index = (Path(config.docs_dir) / "README.md").read_text(encoding="utf-8")
    config.nav = [{config.site_name: "docs/README.md"}]
    for group, items in re.findall(r"^## (.+)\n((?:[^#].*\n|\n)+)", index, re.MULTILINE):
        pages = re.findall(r"^- \[(.+?)\]\(([^)#]+\.md)\)", items, re.MULTILINE)
        config.nav.append({group: [{title: f"docs/{page}"} for title, page in pages]})


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Return the pages of docs/, the theme's files, and all that pages link to, from page to page."""
    docs = Path(config.docs_dir)
    root = docs.parent
    found = sorted(docs.glob("*.md"))
    for path in found:  # It grows: the pages that are found have links too.
        text = path.read_text(encoding="utf-8") if path.suffix == ".md" else ""
        linked = dict.fromkeys((path.parent / link).resolve() for link in _LINK.findall(text) if ":" not in link)
        found += [each for each in linked if each.is_file() and each.is_relative_to(root) and each not in found]
    theme = [each for each in files if each.src_dir != config.docs_dir]
    return Files([*theme, *(_file(path.relative_to(root).as_posix(), root, config) for path in found)])


def on_page_content(html: str, **_: object) -> str:
    """Drop the backslash that Python-Markdown leaves in the code `a\\|b` of a table, as GitHub does."""
    return re.sub(r"<td.*?</td>", lambda cell: cell[0].replace(r"\|", "|"), html)


def _file(name: str, root: Path, config: MkDocsConfig) -> File:
    file = File(name, str(root), config.site_dir, config.use_directory_urls)
    inside = name.startswith("docs/")
    file.dest_uri = file.dest_uri.removeprefix("docs/") if inside else f"repository/{file.dest_uri}"
    file.inclusion = InclusionLevel.INCLUDED if inside else InclusionLevel.NOT_IN_NAV
    return file
