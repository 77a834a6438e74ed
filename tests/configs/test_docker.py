"""What can be known of docs/docker.md without Docker: paths, commands, ports and YAML. No image is built."""

import re
import shlex
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml

from configs.lint.exposed_ports import setting_of
from configs.loader import load
from pitstop.cli import app
from tests.serving import PROJECT

FOLDER = PROJECT / "configs" / "docker"
BASE = PROJECT / "configs" / "kubernetes" / "Dockerfile"
BUILT = FOLDER / "Dockerfile"
PAGE = (PROJECT / "docs" / "docker.md").read_text()
COMMANDS = [
    line.replace("\\\n", "")
    for block in re.findall(r"```bash\n(.*?)```", PAGE, re.DOTALL)
    for line in re.split(r"(?<!\\)\n", block.strip())
]


def instructions(file: Path) -> list[tuple[str, str]]:
    """Return a Dockerfile's instructions, each with what follows it."""
    lines = [line for line in file.read_text().splitlines() if not line.startswith("#")]
    joined = "\n".join(lines).replace("\\\n", " ")
    return [(name, rest.strip()) for name, rest in re.findall(r"^([A-Z]+) (.*)$", joined, re.MULTILINE)]


def parses(words: list[str]) -> None:
    """Parse a `pitstop` command without running it."""
    assert words[0] == "pitstop"
    commands: Any = typer.main.get_command(app)
    commands.commands[words[1]].make_context(words[1], words[2:])


def test_the_commands_of_both_images_are_pitstop_s_own_and_name_files_that_are_there() -> None:
    [command] = [rest for name, rest in instructions(BASE) if name == "CMD"]
    [built] = [rest for name, rest in instructions(BUILT) if name == "RUN" and rest.startswith("pitstop")]
    for words in (yaml.safe_load(command), shlex.split(built)):
        parses(words)
        assert [word for word in words if word.endswith(".yaml") and not (PROJECT / word).is_file()] == []


def test_every_copied_path_is_there_and_the_built_image_takes_what_its_first_stage_made() -> None:
    copies = [rest.split()[:-1] for name, rest in instructions(BASE) if name == "COPY"]
    copied = [path for paths in copies for path in paths if not path.startswith("--")]
    assert [path for path in copied if not (PROJECT / path).exists()] == []
    found = dict(instructions(BUILT))
    assert found["COPY"] == "--from=build /store /store"
    assert found["ENV"] == "PITSTOP_STORE=/store"
    stages = [rest for name, rest in instructions(BUILT) if name == "FROM"]
    assert stages == ["pitstop AS build", "pitstop"]
    assert "--store /store" in BUILT.read_text()


def test_the_image_has_the_locked_packages_that_serving_needs_and_no_others() -> None:
    extras = set(tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]["optional-dependencies"])
    [packages] = [rest for name, rest in instructions(BASE) if name == "RUN" and "--constraint" in rest]
    installs = [shlex.split(each) for each in packages.split("&&")]
    assert all({"-r", "--requirement"}.isdisjoint(words) for words in installs)
    assert all(words[words.index("--constraint") + 1] == "requirements.lock" for words in installs[1:])
    [named] = re.findall(r'"\.\[(.+)\]"', packages)
    assert set(named.split(",")) == extras - {"dev", "docs", "report"}


def test_the_image_opens_the_ports_of_the_config() -> None:
    raw = yaml.safe_load((PROJECT / "serve_config.yaml").read_text())
    [opened] = [rest for name, rest in instructions(BASE) if name == "EXPOSE"]
    ports = {raw["http_options"]["port"], raw["grpc_options"]["port"], raw["applications"][0]["args"]["grpc_port"]}
    assert {int(port) for port in opened.split()} == ports


def test_compose_starts_the_built_image_beside_the_monitoring_that_there_is() -> None:
    compose: dict[str, Any] = yaml.safe_load((FOLDER / "compose.yaml").read_text())
    [included] = compose["include"]
    monitoring = yaml.safe_load((FOLDER / included).read_text())
    [server] = compose["services"].values()
    assert set(monitoring["services"]) == {"prometheus", "grafana"}
    assert set(monitoring["services"]) & set(compose["services"]) == set()
    assert f"-t {server['image']} ." in PAGE
    assert {each["network_mode"] for each in [server, *monitoring["services"].values()]} == {"host"}
    [ray] = [each for each in monitoring["services"]["prometheus"]["volumes"] if isinstance(each, dict)]
    assert [(each["source"], each["target"]) for each in server["volumes"]] == [(ray["source"], ray["target"])]


def test_a_stop_leaves_more_time_than_the_requests_in_progress_get() -> None:
    server = yaml.safe_load((FOLDER / "compose.yaml").read_text())["services"]["pitstop"]
    raw = yaml.safe_load((PROJECT / "serve_config.yaml").read_text())
    variables = raw["controller_options"]["runtime_env"]["env_vars"]
    grace_s = int(server["stop_grace_period"].removesuffix("s"))
    assert grace_s > int(variables["RAY_SERVE_PROXY_GRACEFUL_SHUTDOWN_TIMEOUT_S"]) + 20
    assert f"--stop-timeout {grace_s}" in PAGE


def test_the_page_s_sed_opens_http_and_what_follows_it_and_the_result_loads(tmp_path: Path) -> None:
    [command] = [line for line in COMMANDS if line.startswith("sed ")]
    (tmp_path / "serve_config.yaml").write_text((PROJECT / "serve_config.yaml").read_text())
    subprocess.run(["bash", "-c", command], cwd=tmp_path, check=True)
    opened = tmp_path / "open.yaml"
    assert setting_of(yaml.safe_load(opened.read_text())).http_host == "0.0.0.0"
    assert [each.name for each in load(opened).models] == ["digits", "digits-cpu"]


@pytest.mark.parametrize("line", [line for line in COMMANDS if line.startswith(("docker ", "curl "))])
def test_every_path_in_the_page_s_commands_is_there_and_every_pitstop_command_parses(line: str) -> None:
    words = shlex.split(line, comments=True)
    named = [word for word in words if word.startswith(("configs/", "@"))]
    assert [word for word in named if not (PROJECT / word.removeprefix("@")).is_file()] == []
    if "pitstop" in words and words[:2] == ["docker", "run"]:
        parses(words[words.index("pitstop") :])
