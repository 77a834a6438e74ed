"""What a change touches, and the config that is deployed for it."""

import copy
from pathlib import Path
from typing import Any

import yaml

from pitstop.run.redeploy import Touched, Versions, touched

ENVIRONMENT = {"env_vars": {"A": "1"}}
RAW: dict[str, Any] = {
    "http_options": {"port": 8000},
    "applications": [
        {"name": "a", "args": {"name": "a"}, "runtime_env": ENVIRONMENT, "deployments": [{"name": "Model"}]},
        {"name": "b", "args": {"name": "b"}, "runtime_env": ENVIRONMENT},
    ],
}


def changed() -> dict[str, Any]:
    return copy.deepcopy(RAW)


def test_nothing_differs() -> None:
    assert touched(RAW, changed(), set()) == Touched(set(), set(), set())


def test_a_new_user_config_touches_its_application_and_restarts_none() -> None:
    now = changed()
    now["applications"][0]["deployments"][0]["user_config"] = {"max_batch_size": 8}
    assert touched(RAW, now, set()) == Touched({"a"}, set(), set())


def test_new_args_new_code_and_a_new_application_restart() -> None:
    now = changed()
    now["applications"][0]["args"]["version"] = "2"
    now["applications"].append({"name": "c"})
    assert touched(RAW, now, {"b"}) == Touched({"a", "b", "c"}, {"a", "b", "c"}, set())


def test_an_application_that_is_gone_is_touched_and_does_not_start_again() -> None:
    now = changed()
    del now["applications"][1]
    assert touched(RAW, now, {"b"}) == Touched({"b"}, set(), set())


def test_keys_of_the_server_are_told_apart() -> None:
    assert touched(RAW, {**changed(), "http_options": {"port": 1}}, set()).server_keys == {"http_options"}


def test_only_an_application_with_new_code_gets_another_environment_and_keeps_it(tmp_path: Path) -> None:
    versions = Versions(tmp_path)

    def written(code: set[str]) -> list[dict[str, str]]:
        apps = yaml.safe_load(versions.write(RAW, code).read_text())["applications"]
        return [app["runtime_env"]["env_vars"] for app in apps]

    assert written(set()) == [{"A": "1"}, {"A": "1"}]
    assert written({"a"}) == [{"A": "1", "PITSTOP_RELOAD": "1"}, {"A": "1"}]
    assert written(set()) == [{"A": "1", "PITSTOP_RELOAD": "1"}, {"A": "1"}]
    assert written({"a", "b"}) == [{"A": "1", "PITSTOP_RELOAD": "2"}, {"A": "1", "PITSTOP_RELOAD": "1"}]
    assert RAW["applications"][0]["runtime_env"] == {"env_vars": {"A": "1"}}


def test_an_application_without_an_environment_gets_one(tmp_path: Path) -> None:
    path = Versions(tmp_path).write({"applications": [{"name": "a"}]}, {"a"})
    assert yaml.safe_load(path.read_text())["applications"][0]["runtime_env"]["env_vars"] == {"PITSTOP_RELOAD": "1"}
