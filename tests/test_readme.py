"""Every block of the README does what the README says, in a copy of the project such as a clone is."""

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.serving import PROJECT, SHORT, Serving, serve_run

README = (PROJECT / "README.md").read_text()
BLOCKS = re.findall(r"```(\w*)\n(.*?)```", README, re.DOTALL)


# What the README says beside the audit; each runs here as it stands, with what makes it short behind it.
PITSTOP = ".venv/bin/pitstop"
ASKS_A_SERVER = (
    f"{PITSTOP} load http://127.0.0.1:8000/v2/models/digits --rate 500",
    f"{PITSTOP} compare digits digits-cpu --slo-ms 50 --gpu-price-only --gpu-instance g6.xlarge"
    " --cpu-instance c6in.xlarge --report compare",
)
PLANS = (f"{PITSTOP} plan serve_config.yaml --model digits-cpu --rate 500 --slo-ms 50 --verify",)
SHORTER = {
    "load": ["--seconds", "1", "--warmup", "0.2"],
    # Where the machine starves, a target of 50 ms is only met at rates whose probes take half a minute each.
    "compare": ["--seconds", "0.3", "--slo-ms", "500"],
    "plan": ["--budget-s", "1"],
}


def blocks(kind: str) -> list[str]:
    return [text for found, text in BLOCKS if found == kind]


def commands() -> list[str]:
    return [line for text in blocks("bash") for line in text.splitlines() if line and not line.startswith("#")]


def test_every_block_is_of_a_kind_that_a_test_here_runs() -> None:
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
    """The project's files as they are now, with the README's model added as the README says."""
    folder = tmp_path_factory.mktemp("clone")
    listed = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    for name in subprocess.run(listed, cwd=PROJECT, capture_output=True, text=True, check=True).stdout.splitlines():
        if (PROJECT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(PROJECT / name, folder / name)
    [network], [application] = blocks("python"), blocks("yaml")
    (folder / network.splitlines()[0].removeprefix("# ")).write_text(network)
    with (folder / "serve_config.yaml").open("a") as config:
        config.write("\n" + application)
    return folder


def said(verbs: tuple[str, ...], beside: tuple[str, ...] = ()) -> list[str]:
    """Return the README's `pitstop` lines of these verbs, and those beside them that it may have."""
    found = [line for line in commands() if line.startswith(PITSTOP) and line.split()[1] in verbs]
    return list(dict.fromkeys([*found, *beside]))


def run(line: str, clone: Path, *more: str, fine: tuple[int, ...] = (0,)) -> str:
    """Run a `pitstop` line in the clone and insist that it ends well; return what it prints."""
    command = [sys.executable, "-m", "pitstop", *line.split()[1:], *more]
    found = subprocess.run(command, cwd=clone, capture_output=True, text=True, check=False)
    assert found.returncode in fine, found.stdout + found.stderr
    return found.stdout


def test_every_pitstop_command_is_among_those_that_run_here() -> None:
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


@pytest.fixture(scope="module")
def serving(clone: Path) -> Iterator[Serving]:
    with serve_run(clone / "serve_config.yaml", SHORT, cwd=clone) as found:
        yield found


@pytest.mark.ray
@pytest.mark.parametrize("line", [line for line in commands() if line.startswith("curl ")])
def test_every_curl_line_is_answered_as_shown(line: str, serving: Serving, clone: Path) -> None:
    asked = line.replace("localhost:8000", f"127.0.0.1:{serving.port}")
    found = subprocess.run(
        ["bash", "-c", f"curl -sf {asked.removeprefix('curl ')}"], cwd=clone, capture_output=True, check=True
    )
    answer = json.loads(found.stdout)
    shown = README[README.index(line) + len(line) :].lstrip("\n").splitlines()[0]
    if shown.startswith("# {"):
        assert answer == json.loads(shown.removeprefix("# "))
    if "mine/infer" in line:
        assert sum(answer["outputs"][0]["data"]) == pytest.approx(1)


@pytest.mark.ray
@pytest.mark.parametrize("line", said(("load", "compare"), ASKS_A_SERVER))
def test_every_command_that_asks_a_server_measures_it(line: str, serving: Serving, clone: Path) -> None:
    verb = line.split()[1]
    asked = line.replace("localhost:8000", "127.0.0.1:8000").replace("http://127.0.0.1:8000", serving.url)
    found = run(asked, clone, *SHORTER[verb], *(["--url", serving.url] if verb == "compare" else []))
    assert "p99" in found
    if "--report" in line:
        assert "report: " in found
