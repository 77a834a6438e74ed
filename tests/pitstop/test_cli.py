"""The command line as a whole: one name for one thing over all commands, completion, the version, and a quick start."""

import re
import subprocess
import sys
from collections import defaultdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command
from typer.testing import CliRunner

from pitstop.cli import app
from tests.serving import PROJECT

COMMANDS: dict[str, Any] = dict(get_command(app).commands)  # type: ignore[attr-defined]
OPTIONS = [
    (name, flag, str(option.help))
    for name, command in COMMANDS.items()
    for option in command.params
    if option.param_type_name == "option"
    for flag in option.opts
]


def meaning(text: str) -> str:
    """Return a help's general part: what follows a colon says what it is in this command."""
    return text.partition(":")[0].rstrip(".").casefold()


def test_an_option_means_the_same_in_every_command() -> None:
    found: dict[str, set[str]] = defaultdict(set)
    for _, flag, text in OPTIONS:
        found[flag].add(meaning(text))
    assert {flag: texts for flag, texts in found.items() if len(texts) > 1} == {}


def test_what_means_the_same_has_the_same_name_in_every_command() -> None:
    found: dict[str, set[str]] = defaultdict(set)
    for _, flag, text in OPTIONS:
        if flag.startswith("--"):
            found[meaning(text)].add(flag)
    assert {text: flags for text, flags in found.items() if len(flags) > 1} == {}


def test_every_option_has_a_help_that_is_a_sentence() -> None:
    assert [(name, flag) for name, flag, text in OPTIONS if not text.endswith(".")] == []


def test_add_takes_what_init_takes_and_the_config_after_the_source() -> None:
    of = {name: [(each.name, each.opts, str(each.help)) for each in COMMANDS[name].params] for name in ("init", "add")}
    assert [name for name, _, _ in of["add"][:2]] == ["source", "config"]
    shared = {name: [each for each in found if each[0] not in ("config", "to")] for name, found in of.items()}
    assert shared["add"] == shared["init"]
    [out] = [text for name, _, text in of["add"] if name == "to"]
    assert out.startswith("Where to write: the folder of its client and test")


def test_add_refuses_a_file_for_its_client_and_test() -> None:
    found = CliRunner().invoke(app, ["add", "net.py:Net", "serve_config.yaml", "--out", "other.yaml"])
    assert found.exit_code == 2
    assert "--out other.yaml: names a file, but the model goes into serve_config.yaml\nhelp:" in found.output


def complete(words: str) -> set[str]:
    """Return what bash gets for TAB at the end of these words."""
    count = len(words.split(" ")) - 1
    variables = {"_PITSTOP_COMPLETE": "complete_bash", "COMP_WORDS": words, "COMP_CWORD": str(count)}
    result = CliRunner().invoke(app, [], env=variables, prog_name="pitstop")
    assert result.exit_code == 0, result.output
    return set(result.output.split())


@pytest.fixture
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with the shipped config, another one, and files that are no configs."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "serve_config.yaml").write_text((PROJECT / "serve_config.yaml").read_text(encoding="utf-8"))
    (tmp_path / "serve.txt").write_text("")
    (tmp_path / "configs").mkdir()
    (tmp_path / "configs" / "mlp.yaml").write_text((PROJECT / "configs" / "mlp.yaml").read_text(encoding="utf-8"))
    (tmp_path / "configs" / "broken.yaml").write_text("applications: [")
    return tmp_path


@pytest.mark.parametrize(
    "words, found",
    [
        ("pitstop audit serve_config.yaml --model ", {"digits", "digits-cpu"}),
        ("pitstop audit --model digits-", {"digits-cpu"}),
        ("pitstop plan configs/mlp.yaml --model m", {"mlp"}),
        ("pitstop check serve_config.yaml configs/mlp.yaml --model ", {"digits", "digits-cpu", "mlp"}),
        ("pitstop compare digits ", {"digits", "digits-cpu"}),
        ("pitstop tune configs/broken.yaml --model ", set()),
        ("pitstop tune no.yaml --model ", set()),
        ("pitstop check ser", {"serve_config.yaml"}),
        ("pitstop check ", {"serve_config.yaml", "configs/"}),
        ("pitstop audit configs/m", {"configs/mlp.yaml"}),
        ("pitstop kubernetes nowhere/", set()),
        ("pitstop export --config conf", {"configs/"}),
        ("pitstop au", {"audit"}),
    ],
)
@pytest.mark.usefixtures("_folder")
def test_tab_completes_models_and_config_files(words: str, found: set[str]) -> None:
    assert complete(words) == found


def test_completion_can_be_shown_and_installed() -> None:
    shown = CliRunner().invoke(app, ["--help"]).output
    assert "--show-completion" in shown
    assert "--install-completion" in shown


def test_the_version_is_that_of_the_package() -> None:
    result = CliRunner().invoke(app, ["--version"])
    assert (result.exit_code, result.output) == (0, f"pitstop {version('pitstop')}\n")


@pytest.mark.parametrize("words", [["--help"], ["--version"], ["audit", "--help"], ["load", "--help"]])
def test_help_and_version_import_nothing_heavy(words: list[str]) -> None:
    code = (
        "import sys\nfrom pitstop.cli import app\ntry:\n    app(sys.argv[1:])\nexcept SystemExit:\n    pass\n"
        "heavy = {'torch', 'ray', 'numpy', 'yaml', 'configs', 'models'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", code, *words], check=True, capture_output=True, cwd=PROJECT)


def test_completing_a_model_imports_neither_torch_nor_ray() -> None:
    code = (
        "import sys, typer\nfrom pathlib import Path\nfrom pitstop.completion import model_names\n"
        "class Line:\n    args = []\n    params = {'config': Path('serve_config.yaml')}\n"
        "assert model_names(Line(), 'dig') == ['digits', 'digits-cpu']\n"
        "assert not {'torch', 'ray', 'numpy', 'pydantic'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, cwd=PROJECT)


def test_docs_use_no_option_that_no_command_has() -> None:
    known = {(name, flag) for name, flag, _ in OPTIONS}
    for page in (PROJECT / "README.md", *sorted((PROJECT / "docs").glob("*.md"))):
        for line in re.findall(r"pitstop (\w+)([^`\n#]*)", page.read_text(encoding="utf-8")):
            if line[0] in COMMANDS:
                used = re.findall(r"(?<=\s)--[a-z][a-z-]*", line[1])
                assert [flag for flag in used if (line[0], flag) not in known] == [], (page.name, line)
