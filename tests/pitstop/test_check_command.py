import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from configs.loader import ConfigError, parse_tunables
from pitstop.cli import app

PROJECT = Path(__file__).resolve().parents[2]
SERVE_CONFIG = (PROJECT / "serve_config.yaml").read_text(encoding="utf-8")


def run(*arguments: object) -> tuple[int, str]:
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    return result.exit_code, result.output


def broken(folder: Path, old: str, new: str) -> Path:
    assert old in SERVE_CONFIG
    path = folder / "broken.yaml"
    path.write_text(SERVE_CONFIG.replace(old, new), encoding="utf-8")
    return path


def test_a_clean_file_shows_its_models_and_ends_with_0(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(PROJECT)
    status, output = run("check")
    assert status == 0
    assert "serve_config.yaml: ok" in output
    for text in ("digits-cpu", "auto     fp32", "64", "/v2/models/digits-cpu"):
        assert text in output


def test_a_misspelt_serve_key_ends_with_1_and_its_suggestion(tmp_path: Path) -> None:
    path = broken(tmp_path, "max_ongoing_requests: 1024", "max_ongoing_request: 1024")
    line = 1 + next(i for i, text in enumerate(path.read_text().splitlines()) if "max_ongoing_request:" in text)
    status, output = run("check", path)
    assert status == 1
    key = "applications[1] (digits).deployments[0] (Model).max_ongoing_request"
    assert f"{path}:{line}: {key}: Serve has no such key, and would drop it" in output
    assert "help: did you mean 'max_ongoing_requests'?" in output
    assert ": ok" not in output


def test_the_hundredth_line_is_no_picture(tmp_path: Path) -> None:
    path = broken(tmp_path, "max_ongoing_requests: 1024", "max_ongoing_request: 1024")
    text = path.read_text()
    line = text[: text.index("max_ongoing_request:")].count("\n")
    path.write_text("\n" * (99 - line) + text)
    assert f"{path}:100: applications[1]" in run("check", path)[1]


def test_schema_and_serve_problems_are_told_in_one_run(tmp_path: Path) -> None:
    path = broken(tmp_path, "device: auto", "devise: auto\n      presicion: fp32")
    path.write_text(path.read_text().replace("port: 8000", "prot: 8000"))
    _, output = run("check", path)
    for suggestion in ("'device'", "'precision'", "'port'"):
        assert f"did you mean {suggestion}?" in output


def test_a_warning_alone_ends_with_0(tmp_path: Path) -> None:
    path = broken(tmp_path, 'RAY_SERVE_HAPROXY_NBTHREAD: "1"', 'RAY_SERVE_HAPROXY_NBTHREADS: "1"')
    status, output = run("check", path)
    assert status == 0
    assert "warning: " in output
    assert "did you mean 'RAY_SERVE_HAPROXY_NBTHREAD'?" in output


def test_a_file_that_cannot_be_read_ends_with_2_and_the_others_are_still_checked(tmp_path: Path) -> None:
    status, output = run("check", tmp_path / "gone.yaml", PROJECT / "serve_config.yaml")
    assert status == 2
    assert "gone.yaml: no such file" in output
    assert "serve_config.yaml: ok" in output


def test_broken_yaml_ends_with_1(tmp_path: Path) -> None:
    path = tmp_path / "broken.yaml"
    path.write_text("a: [1\n")
    assert run("check", path)[0] == 1


@pytest.mark.parametrize(
    "old, new, told",
    [
        ("request_timeout_s: 30", "max_body_mib: .inf", "max_body_mib: input should be a finite number; got inf"),
        (
            "request_timeout_s: 30",
            "forward_timeout_s: 0.001",
            "forward_timeout_s: input should be greater than or equal to 1; got 0.001",
        ),
        ("request_timeout_s: 30", "retry_after_s: true", "retry_after_s: input should be a valid integer; got True"),
        ("num_gpus: 0.5", "num_gpus: 1.5", "num_gpus: is 1.5: above 1 Ray reserves only whole GPUs"),
        ("port: 8000", "port: 8404", "http_options.port: is 8404, which HAProxy's statistics page uses"),
        ("port: 8000", "port: 30005", "http_options.port: is 30005, which the replicas' HTTP (30000 to 31000) uses"),
        ("sha256: b018", "sha256: b019", "that of models/zoo/digits.safetensors is b018b7a69d8db6969"),
        (
            "memory_format: contiguous",
            "batch_wait_timeout_s: 5",
            "help: it belongs in user_config of the deployment named Model",
        ),
    ],
)
def test_a_setting_that_breaks_in_use_is_refused(tmp_path: Path, old: str, new: str, told: str) -> None:
    status, output = run("check", broken(tmp_path, old, new))
    assert status == 1
    assert told in output


@pytest.mark.parametrize(
    "user_config",
    [
        {"max_body_mib": float("inf")},
        {"forward_timeout_s": 0.001},
        {"retry_after_s": True},
        {"request_timeout_s": "30"},
    ],
)
def test_a_start_refuses_a_setting_that_breaks_in_use(user_config: dict[str, object]) -> None:
    with pytest.raises(ConfigError, match=next(iter(user_config))):
        parse_tunables(user_config)


def test_help_gives_an_example() -> None:
    status, output = run("check", "--help")
    assert status == 0
    assert "pitstop check serve_config.yaml" in output


def test_it_runs_from_any_folder_as_a_module(tmp_path: Path) -> None:
    command = [sys.executable, "-c", f"import sys; sys.path.insert(0, {str(PROJECT)!r}); import pitstop.__main__"]
    done = subprocess.run(
        [*command, "check", str(PROJECT / "serve_config.yaml")],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_the_cache_is_shown_with_its_use_and_bound(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(PROJECT)
    monkeypatch.setenv("PITSTOP_CACHE", str(tmp_path))
    monkeypatch.setenv("PITSTOP_CACHE_GIB", "7")
    assert f"cache: {tmp_path}, 0.0 of 7 GiB (PITSTOP_CACHE_GIB)" in run("check")[1]
    monkeypatch.setenv("PITSTOP_CACHE_GIB", "much")
    status, output = run("check")
    assert status == 1
    assert "PITSTOP_CACHE_GIB: 'much' is not a number of GiB" in output


def test_a_method_as_factory_is_told_to_be_wrapped(tmp_path: Path) -> None:
    path = broken(tmp_path, "models.zoo.digits:Digits", "transformers:AutoModel.from_pretrained")
    status, output = run("check", path)
    assert status == 1
    assert "should be package.module:name" in output
    assert "write a function that calls it and name that" in output


def test_a_backend_of_ones_own_is_shown_by_its_file_in_one_line(tmp_path: Path) -> None:
    folder = tmp_path / "a_folder_with_a_long_name" / "and_another_one_with_a_long_name"
    folder.mkdir(parents=True)
    (folder / "own.py").write_text("def quick(module, inputs): return module\n")
    config = yaml.safe_load((PROJECT / "serve_config.yaml").read_text())
    config["applications"][1]["args"]["backend"] = f"{folder}/own.py:quick"
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(config))
    shown = CliRunner().invoke(app, ["check", str(tmp_path / "config.yaml")]).output
    [line] = [each for each in shown.splitlines() if "own.py" in each]
    assert "  own.py:quick  " in line
