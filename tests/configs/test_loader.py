from pathlib import Path
from typing import Any

import pytest
import yaml

from configs.loader import ConfigError, check, load, parse_model, parse_root, parse_tunables
from configs.problems import UnreadableError

PROJECT = Path(__file__).resolve().parents[2]


def args(**changes: object) -> dict[str, Any]:
    given: dict[str, Any] = {
        "name": "net",
        "source": {"factory": "models.zoo.mlp:Mlp"},
        "inputs": [{"name": "x", "datatype": "FP32", "shape": [-1, 64]}],
        "outputs": [{"name": "y", "datatype": "FP32", "shape": [-1, 10]}],
    }
    return {key: value for key, value in {**given, **changes}.items() if value is not None}


def write(folder: Path, text: str) -> Path:
    path = folder / "app.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def write_app(folder: Path, user_config: object = None, **changes: object) -> Path:
    app: dict[str, Any] = {"name": "net", "import_path": "deployments.app:model", "args": args(**changes)}
    app["deployments"] = [{"name": "Model", "num_replicas": 2, "user_config": user_config}]
    return write(folder, yaml.safe_dump({"applications": [app]}, sort_keys=False))


@pytest.mark.parametrize(
    "name",
    ["serve_config.yaml", *(f"configs/{p.name}" for p in PROJECT.glob("configs/*.yaml") if p.name != "prices.yaml")],
)
def test_every_shipped_config_is_clean(name: str) -> None:
    deployment, found = check(PROJECT / name)
    assert [problem.text(place) for place, problem in found] == []
    assert deployment is not None
    assert deployment.models


def test_the_two_digits_apps_differ_in_name_and_device_only() -> None:
    one, other = load(PROJECT / "serve_config.yaml").models
    assert one.config.model_copy(update={"name": "digits-cpu", "device": "cpu"}) == other.config
    assert (one.config.device, other.config.device) == ("auto", "cpu")
    assert (one.tunables, one.replicas) == (other.tunables, other.replicas)


def test_load_gives_the_model_its_tunables_and_its_replicas(tmp_path: Path) -> None:
    (app,) = load(write_app(tmp_path, {"batch_wait_timeout_s": 3}, max_batch_size=8)).models
    assert (app.name, app.config.max_batch_size, app.tunables.batch_wait_timeout_s) == ("net", 8, 3)
    assert app.replicas == {"name": "Model", "num_replicas": 2}


@pytest.mark.parametrize(
    "changes, where, what, help_",
    [
        ({"presicion": "fp32"}, "args.presicion", "unknown key", "did you mean 'precision'?"),
        ({"device": "gpu"}, "args.device", "'auto', 'cuda' or 'cpu'; got 'gpu'", "did you mean 'cuda'?"),
        ({"device": "CPU"}, "args.device", "got 'CPU'", "did you mean 'cpu'?"),
        ({"backend": "torchscrip"}, "args.backend", "got 'torchscrip'", "did you mean 'torchscript'?"),
        ({"source": None}, "args.source", "is missing", "add source: where the model comes from."),
        ({"source": {"factory": "a:b", "weight": "w"}}, "args.source.weight", "unknown key", "did you mean 'weights'?"),
        ({"version": 1}, "args.version", "got 1", 'put it in quotes, so that YAML does not read a number: "1"'),
        ({"batch_sizes": [4, 2]}, "args: batch_sizes", "must be positive and ascending", "configs/schema.py"),
        ({"max_batch_size": 0}, "args.max_batch_size", "greater than or equal to 1; got 0", "Largest batch, in rows."),
        (
            {"inputs": [{"name": "x", "datatype": "FLOAT32", "shape": [-1, 4]}]},
            "args.inputs[0] (x).datatype",
            "got 'FLOAT32'",
            "did you mean 'FP32'?",
        ),
        (
            {"inputs": [{"name": "x", "datatype": "FP32", "shap": [-1, 4]}]},
            "args.inputs[0] (x).shap",
            "unknown key",
            "did you mean 'shape'?",
        ),
    ],
)
def test_an_error_says_where_what_and_what_to_do(
    tmp_path: Path, changes: dict[str, object], where: str, what: str, help_: str
) -> None:
    path = write_app(tmp_path, **changes)
    with pytest.raises(ConfigError) as caught:
        load(path)
    text = str(caught.value)
    assert f": applications[0] (net).{where}" in text
    assert what in text
    assert help_ in text.partition("\nhelp: ")[2]


def test_an_error_in_a_list_item_is_told_once(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"must begin with -1") as caught:
        load(write_app(tmp_path, inputs=[{"name": "x", "datatype": "FP32", "shape": [1, 4]}]))
    assert len(caught.value.problems) == 1


def test_an_error_names_the_line_of_the_key(tmp_path: Path) -> None:
    path = write_app(tmp_path, device="gpu")
    line = 1 + path.read_text().splitlines().index("    device: gpu")
    with pytest.raises(ConfigError, match=rf"app\.yaml:{line}: applications\[0\] \(net\)\.args\.device: "):
        load(path)


def test_every_problem_is_told_at_once(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        load(write_app(tmp_path, {"batch_wait": 3}, device="gpu", backend="jit"))
    text = str(caught.value)
    assert all(key in text for key in ("args.device", "args.backend", "user_config.batch_wait"))
    assert "did you mean 'batch_wait_timeout_s'?" in text
    assert len(caught.value.problems) == 3


@pytest.mark.parametrize(
    "text, expected",
    [
        ("", "is empty"),
        ("# nothing but a comment\n", "is empty"),
        ("- a\n", "is not a mapping at its top level"),
        ("applications: []\n", "must list at least one application"),
        ("applications: 3\n", "must list at least one application"),
        ("applications: [7]\n", "applications[0]: must be a mapping; got 7"),
        ("a: [1\nb: 2\n", "app.yaml:2:2: is not valid YAML"),
        ("a: *lost\n", "app.yaml:1:4: is not valid YAML: found undefined alias"),
        ("a: !!python/object:os.system {}\n", "app.yaml:1:4: is not valid YAML"),
        ("a: 2026-13-01\n", "put such values in quotes"),
        ("a: 1\nb: 2\na: 3\n", "app.yaml:3: key 'a' is given twice\nhelp: keep this one or line 1"),
        ("x: {b: {c: 1, c: 2}}\n", "key 'c' is given twice"),
        ("a: &a [*a]\n", "an anchor contains itself"),
    ],
)
def test_a_file_that_is_no_config_is_refused_cleanly(tmp_path: Path, text: str, expected: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load(write(tmp_path, text))
    assert expected in str(caught.value)
    assert "\nhelp: " in str(caught.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(UnreadableError, match=r"gone\.yaml: no such file\nhelp: "):
        load(tmp_path / "gone.yaml")


def test_a_merged_key_may_be_overridden_without_counting_as_twice(tmp_path: Path) -> None:
    path = write(tmp_path, "a: &a {x: 1, y: 1}\nb: {<<: *a, x: 2}\napplications: [{name: mine}]\n")
    assert load(path).raw["b"] == {"x": 2, "y": 1}


def test_parse_functions_carry_the_label_and_the_suggestion() -> None:
    with pytest.raises(ConfigError, match=r"application net: devise: unknown key\nhelp: did you mean 'device'\?"):
        parse_model(args(devise="cpu"), "application net")
    with pytest.raises(
        ConfigError, match=r"application net: max_batch: unknown key\nhelp: did you mean 'max_batch_size'\?"
    ):
        parse_tunables({"max_batch": 3}, "application net")
    with pytest.raises(ConfigError, match="did you mean 'server_name'"):
        parse_root({"servername": "x"})


def test_parse_functions_return_the_schema_classes() -> None:
    assert parse_model(args()).name == "net"
    assert parse_tunables(None).request_timeout_s == 30
    assert parse_root(None).server_name == "pitstop"
