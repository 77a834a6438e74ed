"""What the README and docs/measuring.md ask of a server is answered as they say; the README's model is served too."""

import json
import subprocess
from pathlib import Path

import pytest

from tests.readme import README, SHORTER, commands, run, said
from tests.serving import SHORT, Serving

pytestmark = [pytest.mark.ray, pytest.mark.parametrize("serving", [SHORT], indirect=True)]


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


@pytest.mark.parametrize("line", said("load", "compare"))
def test_every_command_that_asks_a_server_measures_it(line: str, serving: Serving, clone: Path) -> None:
    verb = line.split()[1]
    asked = line.replace("localhost:8000", "127.0.0.1:8000").replace("http://127.0.0.1:8000", serving.url)
    found = run(asked, clone, *SHORTER[verb], *(["--url", serving.url] if verb == "compare" else []))
    assert "p99" in found
    if "--report" in line:
        assert "report: " in found
