"""configs/schema.json, for editors: it is what the classes say, takes what the loader takes, refuses misspelt keys."""

import json
import re
from pathlib import Path
from textwrap import dedent, indent
from typing import Any

import jsonschema
import pytest
import yaml

from configs.document import read
from configs.json_schema import FILE, text
from configs.lint.applications import MODEL, ROOT
from configs.parse import parse_model
from tests.configs.conftest import PROJECT, put

SCHEMA = json.loads(FILE.read_text(encoding="utf-8"))
LINE = re.compile(r"# yaml-language-server: \$schema=(\S+)\n")
SHIPPED = [
    path
    for path in (*PROJECT.glob("*.yaml"), *PROJECT.glob("configs/*.yaml"), *PROJECT.glob("examples/**/*.yaml"))
    if path.name not in ("prices.yaml", "model-config.yaml")  # They are no configs; the second is TorchServe's.
]
MODEL_APP, ROOT_APP = "applications__1__", "applications__0__"
ARGS, DEPLOYMENT = MODEL_APP + "args__", MODEL_APP + "deployments__0__"
DOCS = [
    (f"{path.name}: {block.splitlines()[0].strip()}", block)
    for path in (PROJECT / "README.md", *sorted((PROJECT / "docs").glob("*.md")))
    for block in re.findall(r"^```yaml\n(.*?)^```", path.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
    if "kind: " not in block and "model-config.yaml" not in block  # Those are of Kubernetes and of TorchServe.
]


def errors(value: object, within: dict[str, Any] = SCHEMA, partly: bool = False) -> list[str]:
    """Return what an editor would underline; with `partly`, keys may be missing, as in an example of the docs."""
    validator = jsonschema.Draft7Validator({**within, "definitions": SCHEMA["definitions"]})
    found = [each for each in validator.iter_errors(value) if not (partly and each.validator == "required")]
    return [f"{list(each.absolute_path)}: {each.message}" for each in found]


def test_the_file_is_what_the_classes_say() -> None:
    jsonschema.Draft7Validator.check_schema(SCHEMA)
    assert FILE.read_text(encoding="utf-8") == text(), "python -m configs.json_schema writes it"


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.name)
def test_every_shipped_config_names_the_schema_in_its_first_line_and_keeps_to_it(path: Path) -> None:
    named = LINE.match(path.read_text(encoding="utf-8"))
    assert named
    assert (path.parent / named[1]).resolve() == FILE
    assert errors(read(path).raw) == []


@pytest.mark.parametrize("block", [pytest.param(block, id=name) for name, block in DOCS])
def test_every_example_of_the_docs_keeps_to_it(block: str) -> None:
    if dedent(block).startswith(" "):  # It begins inside of `args`.
        block = f"    args:\n{block}"
    anchors = ", ".join(f"&{name} {{}}" for name in sorted(set(re.findall(r"\*(\w+)", block))))
    found = yaml.safe_load(f"given: [{anchors}]\nshown:\n{indent(dedent(block), '  ')}")["shown"]
    application, model = (SCHEMA["definitions"][name] for name in ("ServeApplicationSchema", "ModelConfig"))
    if isinstance(found, list):
        for each in found:
            assert errors({"import_path": MODEL, **each}, application, partly=True) == []
    elif found.keys() <= model["properties"].keys():
        assert errors(found, model, partly=True) == []
    else:
        assert errors({"import_path": MODEL, **found}, application, partly=True) == []


def test_each_key_has_a_description() -> None:
    ours = ("ModelConfig", "RootConfig", "Tunables", "SourceConfig", "TensorConfig", "DimConfig", "AuthConfig")
    bare = [
        f"{name}.{key}"
        for name in (*ours, "DeploymentSchema", "ServeApplicationSchema", "HTTPOptionsSchema", "LoggingConfig")
        for key, each in SCHEMA["definitions"][name]["properties"].items()
        if not each.get("description")
    ]
    assert bare == []


def test_defaults_are_shown() -> None:
    assert SCHEMA["definitions"]["ModelConfig"]["properties"]["max_batch_size"]["default"] == 32
    assert SCHEMA["definitions"]["HTTPOptionsSchema"]["properties"]["port"]["default"] == 8000


@pytest.mark.parametrize(
    "path",
    [
        "application",
        "proxy_locaton",
        "http_options__prot",
        "http_options__hosts",
        "grpc_options__prt",
        "logging_config__log_levl",
        "controller_options__runtime_envs",
        "controller_options__runtime_env__env_var",
        "x-anchors",
        MODEL_APP + "route_prefx",
        MODEL_APP + "runtime_env__env_varz",
        MODEL_APP + "arg",
        MODEL_APP + "logging_config__encodng",
        ARGS + "max_batchsize",
        ARGS + "max_rows",
        ARGS + "input",
        ARGS + "devise",
        ARGS + "request_timeout_s",
        ARGS + "source__weight",
        ARGS + "source__export",
        ARGS + "inputs__0__dtype",
        ARGS + "outputs__0__form",
        ARGS + "dims__tokens__size",
        ARGS + "predict__decoder",
        ARGS + "auth__token_file",
        ARGS + "accept__cosin",
        DEPLOYMENT + "max_ongoing_request",
        DEPLOYMENT + "num_replica",
        DEPLOYMENT + "autoscaling_config__min_replica",
        DEPLOYMENT + "autoscaling_config__policy__policy_functions",
        DEPLOYMENT + "backpressure_config__status",
        DEPLOYMENT + "user_config__max_batchsize",
        DEPLOYMENT + "user_config__canary__percentage",
        DEPLOYMENT + "user_config__device",
        DEPLOYMENT + "ray_actor_options__num_cpu",
        ROOT_APP + "args__grpc_prt",
        ROOT_APP + "args__name",
    ],
)
def test_a_misspelt_or_misplaced_key_is_refused(shipped: dict[str, Any], path: str) -> None:
    keys = path.split("__")
    put(shipped, keys, {})
    found = list(jsonschema.Draft7Validator(SCHEMA).iter_errors(shipped))
    while any(each.context for each in found):  # What may be null has two kinds, and an error for each.
        found = [inner for each in found for inner in each.context or [each]]
    assert any(repr(keys[-1]) in each.message and "unexpected" in each.message for each in found)


@pytest.mark.parametrize(
    "path, value",
    [
        ("http_options__port", "8000"),
        ("proxy_location", "everynode"),
        ("logging_config__log_level", "warn"),
        ("controller_options__runtime_env__env_vars__A", 1),
        (MODEL_APP + "import_path", "deployments.app:modle"),
        (ARGS + "device", "gpu"),
        (ARGS + "backend", "tensorrt"),
        (ARGS + "precision", "fp8"),
        (ARGS + "num_gpus", True),
        (ARGS + "inputs__0__datatype", "float32"),
        (ARGS + "inputs__0__shape", [1.5]),
        (ARGS + "example", []),
        (ARGS + "dims__tokens", {"sizes": [8], "pad": "zero"}),
        (DEPLOYMENT + "num_replicas", "many"),
        (DEPLOYMENT + "name", "Modle"),
        (DEPLOYMENT + "user_config__request_timeout_s", 0),
    ],
)
def test_a_wrong_value_is_refused(shipped: dict[str, Any], path: str, value: object) -> None:
    put(shipped, path.split("__"), value)
    assert len(errors(shipped)) >= 1


@pytest.mark.parametrize(
    "keys",
    [
        {"backend": "auto"},
        {"backend": "mine/compile.py:build"},
        {"example": "digits.npz"},
        {"example": ["one.png", "two.png"]},
        {"example": None, "accept": None, "auth": None, "lengths": None},
        {"num_cpus": 1},
        {"postprocess": "a.py:f", "outputs": [{"name": "y", "datatype": "FP32", "shape": ["batch", "count"]}]},
        *(
            {"outputs": [{"name": "y", "datatype": "FP32", "shape": [-1], "from": each}]}
            for each in ("1.0", 0, 1.0, "a.b")
        ),
        *(
            {
                "inputs": [{"name": "x", "datatype": "INT64", "shape": ["batch", "n"], "high": high}],
                "dims": {"n": {"sizes": [8, 16], "pad": pad}},
            }
            for high, pad in ((5, 0), (2.0, 3.0), ("n", "none"), (None, {"x": 1}))
        ),
    ],
)
def test_what_the_loader_takes_it_takes(keys: dict[str, Any]) -> None:
    tensors = {
        "inputs": [{"name": "x", "datatype": "FP32", "shape": [-1, 3]}],
        "outputs": [{"name": "y", "datatype": "FP32", "shape": [-1]}],
    }
    args = {"name": "m", "source": {"factory": "a:b"}, **tensors, **keys}
    parse_model(args)
    assert errors(args, SCHEMA["definitions"]["ModelConfig"]) == []


def test_args_are_free_where_the_application_is_the_user_s_own(shipped: dict[str, Any]) -> None:
    shipped["applications"].append({"name": "mine", "import_path": "mine:app", "args": {"any": ["thing"]}})
    assert errors(shipped) == []
    for own in (MODEL, ROOT):
        shipped["applications"][-1]["import_path"] = own
        assert errors(shipped) != []
