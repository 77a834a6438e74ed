"""Rollouts and scaling over every path, each with a server to itself: what together/ holds on the short path alone."""

from typing import Any

import pytest

from configs.document import application
from tests.e2e.together import test_autoscaling, test_rollout
from tests.e2e.together.test_autoscaling import Cold, clients, until
from tests.serving import LONG, PROJECT, PROXY, SHORT, deploy, serve_run

pytestmark = [pytest.mark.ray, pytest.mark.long]


def rolled(raw: dict[str, Any]) -> None:
    raw["applications"] = [application(raw, "root"), *test_rollout.models()]


def elastic(raw: dict[str, Any]) -> None:
    raw["applications"] = [application(raw, "root"), *test_autoscaling.models()]


def test_a_rollout_through_serves_wrapper_loses_no_request_either(cache: object) -> None:  # noqa: ARG001
    with serve_run(PROJECT / "serve_config.yaml", LONG, rolled) as serving:
        test_rollout.rolls(serving)


@pytest.mark.parametrize("path", [SHORT, LONG, PROXY])
def test_no_request_is_lost_on_the_way_to_nothing_and_back(path: str, cache: object) -> None:  # noqa: ARG001
    with serve_run(PROJECT / "serve_config.yaml", path, elastic) as serving:
        for _ in range(2):
            many = [Cold(serving) for _ in range(8)]
            for each in many:
                each.start()
            for each in many:
                each.join()
            assert [each.answer for each in many] == ["200 [6.0]"] * 8
            until(serving, "sleeper", 0)


def test_another_target_is_deployed_to_what_runs(cache: object) -> None:  # noqa: ARG001
    def other(raw: dict[str, Any]) -> None:
        deployment = application(raw, "elastic")["deployments"][0]
        deployment["user_config"]["targets"]["queue_ms"] = 10_000
        deployment["autoscaling_config"]["min_replicas"] = 2

    with (
        serve_run(PROJECT / "serve_config.yaml", SHORT, elastic) as serving,
        clients(serving, 1) as load,
    ):
        load.wait_for(5)
        deploy(serving, other)
        until(serving, "elastic", 2)
        load.wait_for(5)
