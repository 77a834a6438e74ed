"""The README does what it says, in a copy of the project; what it asks of a server is in e2e/paths/test_readme.py."""

import re
import subprocess
from pathlib import Path

import pytest

from tests.readme import BLOCKS, PITSTOP, README, SHORTER, blocks, cloned, commands, run, said
from tests.serving import PROJECT

PLANS = (f"{PITSTOP} plan serve_config.yaml --model digits-cpu --rate 500 --slo-ms 50 --verify",)


def test_every_block_is_of_a_kind_that_a_test_runs() -> None:
    assert {kind for kind, _ in BLOCKS} == {"bash", "python", "yaml"}
    assert (len(blocks("python")), len(blocks("yaml"))) == (1, 1)
    known = ("make ", "curl ", ".venv/bin/pitstop ", ".venv/bin/ray get-auth-token ", "RAY_AUTH_MODE=token .venv/bin/")
    assert [line for line in commands() if not line.startswith(known)] == []


@pytest.mark.parametrize("line", [line for line in commands() if line.startswith("make ")])
def test_every_make_target_exists(line: str) -> None:
    subprocess.run([*line.split(), "--dry-run"], cwd=PROJECT, check=True, capture_output=True)


def test_every_file_that_it_links_to_is_there() -> None:
    links = re.findall(r"\]\(([^)#]+)\)", README)
    assert links
    assert [link for link in links if "://" not in link and not (PROJECT / link).exists()] == []


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
    assert {line.split()[1] for line in lines} <= {"check", "audit", "load", "compare", "plan"}


@pytest.mark.parametrize("line", said(("check", "audit")))
def test_every_pitstop_command_finds_nothing_wrong(line: str, clone: Path) -> None:
    run(line, clone)


@pytest.mark.parametrize("line", said(("plan",), PLANS))
def test_every_plan_is_made(line: str, clone: Path) -> None:
    # On a machine that starves, a forward may take longer than the target: then there is no plan, and 1 says so.
    found = run(line.replace(" --verify", ""), clone, *SHORTER["plan"], fine=(0, 1))
    assert "max_rows:" in found or "no setting keeps p99 within" in found


@pytest.mark.ray
@pytest.mark.long
@pytest.mark.parametrize("line", said(("plan",), PLANS))
def test_every_plan_that_is_verified_is_served_and_measured(line: str, clone: Path) -> None:
    found = run(line, clone, *SHORTER["plan"], "--seconds", "2", fine=(0, 1))
    assert "predicted and measured" in found or "no setting keeps p99 within" in found
