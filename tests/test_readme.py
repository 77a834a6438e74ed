"""The README and docs/measuring.md do what they say, in a copy of the project.

What they ask of a server is in e2e/paths/test_readme.py.
"""

import re
import subprocess
from pathlib import Path

import pytest

from tests.readme import BLOCKS, PITSTOP, README, SHORTER, blocks, cloned, commands, run, said
from tests.serving import PROJECT


def test_every_block_is_of_a_kind_that_a_test_runs() -> None:
    assert {kind for kind, _ in BLOCKS} == {"bash", "python", "yaml"}
    assert (len(blocks("python")), len(blocks("yaml"))) == (1, 1)
    known = ("make ", "curl ", ".venv/bin/pitstop ", ".venv/bin/ray get-auth-token ", "RAY_AUTH_MODE=token .venv/bin/")
    assert [line for line in commands() if not line.startswith(known)] == []


@pytest.mark.parametrize("line", [line for line in commands() if line.startswith("make ")])
def test_every_make_target_exists(line: str) -> None:
    subprocess.run([*line.split(), "--dry-run"], cwd=PROJECT, check=True, capture_output=True)


def test_the_readme_is_one_screen() -> None:
    assert len(README.splitlines()) <= 130


DOCS = [*(PROJECT / "docs").glob("*.md"), *PROJECT.glob("*.md"), PROJECT / "benchmarks" / "README.md"]


@pytest.mark.parametrize("page", DOCS, ids=lambda page: str(page.relative_to(PROJECT)))
def test_every_file_and_heading_that_a_page_links_to_is_there(page: Path) -> None:
    links = re.findall(r"\]\(([^)\s]+)\)", page.read_text())
    assert [link for link in links if "://" not in link and not reached(page, link)] == []


def reached(page: Path, link: str) -> bool:
    name, _, heading = link.partition("#")
    target = page.parent / name if name else page
    return target.exists() and (not heading or heading in headings(target))


def headings(page: Path) -> set[str]:
    """Return the anchors that GitHub gives a page's headings."""
    titles = re.findall(r"^#+ (.*)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def test_every_file_in_its_map_is_there_and_every_folder_is_in_it() -> None:
    table = README[README.index("## What is where") :]
    named = {name.rstrip("/").split("/")[0] for name in re.findall(r"^\| `([^`]+)`", table, re.MULTILINE)}
    assert [name for name in named if not (PROJECT / name).exists()] == []
    tracked = subprocess.run(["git", "ls-files"], cwd=PROJECT, capture_output=True, text=True, check=True).stdout
    folders = {line.split("/")[0] for line in tracked.splitlines() if "/" in line and not line.startswith(".")}
    assert folders - named <= {"examples"}


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return cloned(tmp_path_factory.mktemp("clone"))


def test_every_pitstop_command_is_among_those_that_a_test_runs() -> None:
    lines = [line for line in commands() if line.startswith(PITSTOP)]
    assert {line.split()[1] for line in lines} == {"init", "audit", "load", "compare", "plan"}


@pytest.mark.parametrize("line", said("init", "audit"))
def test_every_pitstop_command_finds_nothing_wrong(line: str, clone: Path) -> None:
    run(line, clone)


@pytest.mark.parametrize("line", said("plan"))
def test_every_plan_is_made(line: str, clone: Path) -> None:
    # On a machine that starves, a forward may take longer than the target: then there is no plan, and 1 says so.
    found = run(line.replace(" --verify", ""), clone, *SHORTER["plan"], fine=(0, 1))
    assert "max_batch_size:" in found or "no setting keeps p99 within" in found


@pytest.mark.ray
@pytest.mark.long
@pytest.mark.parametrize("line", said("plan"))
def test_every_plan_that_is_verified_is_served_and_measured(line: str, clone: Path) -> None:
    found = run(line, clone, *SHORTER["plan"], "--seconds", "2", fine=(0, 1))
    assert "predicted and measured" in found or "no setting keeps p99 within" in found
