"""The commands of docs/tutorial.md that need no server print what it shows."""

import shutil
from pathlib import Path

import pytest
import yaml

from tests.serving import PROJECT
from tests.tutorial import CONFIG, PAGE, change, done, prints, run, section, shown, written


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    found = written(tmp_path_factory.mktemp("clone"))
    done(found, 1)
    (found / "init.txt").write_text(done(found, 2))
    return found


def test_init_prints_what_the_page_shows(clone: Path) -> None:
    [(_, expected)] = shown(2, "pitstop init")
    output = (clone / "init.txt").read_text()
    # The page shows a machine without a GPU.
    assert prints(expected, output) or "mine: opens on cuda" in output


def test_check_prints_what_the_page_shows(clone: Path) -> None:
    [(command, expected)] = shown(3, "pitstop check")
    assert prints(expected, run(clone, command))


def test_a_misspelt_key_is_reported_as_the_page_shows(clone: Path) -> None:
    [expected] = [text for kind, text in section(3) if not kind and "num_gpu" in text]
    misspelt = clone / "mine" / "misspelt.yaml"
    misspelt.write_text((clone / CONFIG).read_text().replace("num_gpus", "num_gpu"))
    output = run(clone, "pitstop check mine/misspelt.yaml", status=1)
    assert prints(expected, output.replace("misspelt.yaml", "serve.yaml"))


def test_the_audit_finds_none_of_the_five_mistakes(clone: Path) -> None:
    command = "pitstop audit mine/serve.yaml --quick"
    assert f"`{command}`" in PAGE
    assert "mine: none of the five mistakes" in run(clone, command)


def test_the_canary_that_is_added_passes_the_check_and_so_does_the_rollout(clone: Path, tmp_path: Path) -> None:
    shutil.copytree(clone, tmp_path, dirs_exist_ok=True)
    done(tmp_path, 9)
    config = tmp_path / CONFIG
    for number in (9, 10):
        raw = yaml.safe_load(config.read_text())
        change(raw, number)
        config.write_text(yaml.safe_dump(raw, sort_keys=False))
        assert f"{CONFIG}: ok" in run(tmp_path, f"pitstop check {CONFIG}")


def test_the_dashboard_is_the_one_of_the_compose_file_at_its_port() -> None:
    [command] = [text for kind, text in section(7) if kind == "bash" and text.startswith("docker")]
    services = yaml.safe_load((PROJECT / command.split()[3]).read_text())["services"]
    assert f"<http://localhost:{services['grafana']['environment']['GF_SERVER_HTTP_PORT']}/>" in PAGE
