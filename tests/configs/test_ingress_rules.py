"""What the linter says of tunables that the replicas which read requests will not know."""

from collections.abc import Callable

import pytest

from configs.problems import Problem

INGRESS_REPLICAS = "applications__1__args__ingress_replicas"
MODEL = "applications__1__deployments__0__user_config"


def ingress(**user_config: object) -> dict[str, object]:
    return {"name": "Ingress", "max_ongoing_requests": 1024, "user_config": user_config}


@pytest.mark.parametrize(
    "key, value",
    [
        ("request_timeout_s", 20),
        ("max_body_mib", 256),
        ("max_queue_size", 64),
        ("retry_after_s", 5),
        ("batch_wait_timeout_s", 2),
        ("max_batch_size", 8),
    ],
)
def test_a_tunable_that_stands_under_the_model_alone_is_told_with_where_it_belongs(
    key: str, value: float, changed: Callable[..., list[Problem]]
) -> None:
    found = changed(**{INGRESS_REPLICAS: 2, MODEL: {key: value}})
    assert [(problem.severity, problem.keys[-1]) for problem in found] == [("warning", key)]
    assert f"also write `{key}: {value}` into the user_config of a deployment named Ingress" in found[0].help
    assert (
        changed(
            **{
                INGRESS_REPLICAS: 2,
                MODEL: {key: value},
                "applications__1__deployments": [
                    {"name": "Model", "max_ongoing_requests": 1024, "user_config": {key: value}},
                    ingress(**{key: value}),
                ],
            }
        )
        == []
    )


def test_what_the_device_alone_goes_by_needs_no_second_place(changed: Callable[..., list[Problem]]) -> None:
    assert changed(**{INGRESS_REPLICAS: 2, MODEL: {"forward_timeout_s": 5, "check_finite": True}}) == []


def test_without_ingress_replicas_there_is_nothing_to_tell(changed: Callable[..., list[Problem]]) -> None:
    assert changed(**{MODEL: {"request_timeout_s": 20}}) == []
