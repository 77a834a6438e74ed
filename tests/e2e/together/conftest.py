"""One `serve run` with the models of every module here: a start of Ray takes longer than most of what is tested.

What is done to one model is done to that one alone, so the modules run in any order.
"""

from collections.abc import Iterator
from typing import Any

import pytest

from configs.document import application
from tests.e2e.together import test_autoscaling, test_canary, test_health, test_ingress, test_rollout
from tests.serving import PROJECT, SHORT, Serving, serve_run


@pytest.fixture(scope="package")
def serving(cache: object) -> Iterator[Serving]:  # noqa: ARG001
    with serve_run(PROJECT / "serve_config.yaml", SHORT, every_model) as found:
        yield found


def every_model(raw: dict[str, Any]) -> None:
    raw["applications"] = [
        application(raw, "root"),
        *test_ingress.models(application(raw, "digits")),
        *(app for module in (test_autoscaling, test_canary, test_health, test_rollout) for app in module.models()),
    ]
