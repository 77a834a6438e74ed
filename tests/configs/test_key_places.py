"""A key in the wrong mapping is told the right one, whichever two they are."""

from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from configs.loader import ConfigError, check, parse_model
from configs.problems import Problem
from configs.schema import ModelConfig, Tunables

from .conftest import put, unshare

Lint = Callable[..., list[Problem]]
APP = "applications__1__"
DEPLOYMENT = APP + "deployments__0__"


@pytest.fixture
def helps(shipped: dict[str, object], tmp_path: Path) -> Callable[[str, object], list[str]]:
    def told(path: str, value: object) -> list[str]:
        raw, file = unshare(shipped), tmp_path / "config.yaml"
        put(raw, path.split("__"), value)
        file.write_text(yaml.safe_dump(raw, sort_keys=False), encoding="utf-8")
        return [problem.help for _, problem in check(file)[1] if problem.keys[-1] == path.rpartition("__")[2]]

    return told


@pytest.mark.parametrize("key", sorted(set(Tunables.model_fields) - set(ModelConfig.model_fields)))
@pytest.mark.parametrize("place", [APP + "args__", APP, DEPLOYMENT])
def test_a_tunable_in_the_wrong_place_belongs_into_user_config(
    helps: Callable[[str, object], list[str]], place: str, key: str
) -> None:
    (told,) = helps(place + key, 5)
    assert told.endswith("user_config of the deployment named Model")


@pytest.mark.parametrize("key", sorted(set(ModelConfig.model_fields) - set(Tunables.model_fields) - {"name"}))
@pytest.mark.parametrize("place", [APP, DEPLOYMENT, DEPLOYMENT + "user_config__"])
def test_a_key_of_args_in_the_wrong_place_belongs_into_args(
    helps: Callable[[str, object], list[str]], place: str, key: str
) -> None:
    (told,) = helps(place + key, 5)
    assert told.startswith("it belongs in args")


@pytest.mark.parametrize(
    "path, told",
    [
        (APP + "max_batch_size", "it belongs in args or user_config of the deployment named Model"),
        (DEPLOYMENT + "max_batch_size", "it belongs in user_config of the deployment named Model or args"),
        (APP + "args__max_ongoing_requests", "it belongs in the deployment named Model"),
        (APP + "args__num_replicas", "it belongs in the deployment named Model"),
        (DEPLOYMENT + "user_config__autoscaling_config", "it belongs in the deployment named Model"),
        (DEPLOYMENT + "min_replicas", "it belongs in autoscaling_config of the deployment named Model"),
        (APP + "args__route_prefix", "it belongs in the application"),
        (APP + "args__factory", "it belongs in args.source"),
        (APP + "source", "it belongs in args"),
        (APP + "args__tokens_file", "it belongs in args.auth"),
        (APP + "args__decode", "it belongs in args.predict"),
        (DEPLOYMENT + "user_config__percent", "it belongs in user_config.canary of the deployment named Model"),
        (APP + "env_vars", "it belongs in runtime_env of the application"),
        (APP + "grpc_port", "it belongs in args of the root application"),
        ("grpc_port", "it belongs in args of the root application"),
        ("device", "it belongs in args of a model's application"),
        ("port", "it belongs in http_options at the top of the file or grpc_options at the top of the file"),
        (
            APP + "args__batch_wait_timeout",
            "did you mean 'batch_wait_timeout_s', which belongs in user_config of the deployment named Model?",
        ),
        # What is nearly a key of the place where it stands stays a misspelling.
        (APP + "args__max_batch_siz", "did you mean 'max_batch_size'?"),
        ("application", "did you mean 'applications'?"),
    ],
)
def test_every_other_key_in_the_wrong_place_is_told_the_right_one(
    helps: Callable[[str, object], list[str]], path: str, told: str
) -> None:
    assert helps(path, 5) == [told]


def test_a_start_says_so_too() -> None:
    args = {"name": "net", "source": {"factory": "a:b"}, "inputs": [], "outputs": [], "batch_wait_timeout_s": 5}
    with pytest.raises(
        ConfigError, match=r"batch_wait_timeout_s: unknown key\nhelp: it belongs in user_config of the deploy"
    ):
        parse_model(args)
