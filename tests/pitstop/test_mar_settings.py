import json

import pytest

from models.errors import ModelError
from pitstop.export.mar_settings import properties_of, translate


def models(**settings: object) -> dict[str, str]:
    return {"models": json.dumps({"net": {"1.0": {"defaultVersion": True, "marName": "net.mar", **settings}}})}


def test_batching_and_the_limit_of_time_are_carried() -> None:
    found = translate({"batchSize": 8, "maxBatchDelay": 50, "responseTimeout": 60}, {}, "net")
    assert found.args == {"max_batch_size": 8}
    assert found.user_config == {"batch_wait_timeout_s": 0.05, "request_timeout_s": 60}
    assert found.lost == []


@pytest.mark.parametrize(
    "settings, deployment",
    [
        ({}, {}),
        ({"minWorkers": 2}, {"num_replicas": 2}),
        ({"minWorkers": 3, "maxWorkers": 3}, {"num_replicas": 3}),
        (
            {"minWorkers": 1, "maxWorkers": 4, "batchSize": 16},
            {"autoscaling_config": {"min_replicas": 1, "max_replicas": 4, "target_ongoing_requests": 32}},
        ),
    ],
)
def test_workers_become_replicas(settings: dict[str, int], deployment: dict[str, object]) -> None:
    assert translate(settings, {}, "net").deployment == deployment


def test_the_archives_own_settings_go_before_config_properties_where_they_are_above_0() -> None:
    found = translate({"batchSize": 4, "responseTimeout": 0}, models(batchSize=16, responseTimeout=30), "net")
    assert (found.args["max_batch_size"], found.user_config["request_timeout_s"]) == (4, 30)


def test_settings_of_other_models_are_left_alone() -> None:
    assert translate({}, models(batchSize=16), "other").args == {}


@pytest.mark.parametrize(
    "own, args",
    [
        ({"deviceType": "gpu"}, {"device": "cuda"}),
        ({"deviceType": "cpu"}, {"device": "cpu"}),
        ({"pt2": "inductor"}, {"backend": "compile"}),
        ({"pt2": {"compile": {"enable": True, "backend": "inductor"}}}, {"backend": "compile"}),
    ],
)
def test_device_and_compiler_are_carried(own: dict[str, object], args: dict[str, str]) -> None:
    found = translate(own, {}, "net")
    assert (found.args, found.lost) == (args, [])


@pytest.mark.parametrize(
    "own, lost",
    [
        ({"deviceType": "neuron"}, "deviceType: neuron"),
        ({"pt2": {"compile": {"enable": True, "backend": "openvino"}}}, "pt2: "),
        ({"pt2": {"compile": {"enable": False}}}, "pt2: "),
        ({"deviceIds": [0, 1]}, "deviceIds: [0, 1]"),
        ({"batchSize": 1}, "batchSize: 1 switches batching off"),
    ],
)
def test_what_has_no_counterpart_is_told(own: dict[str, object], lost: str) -> None:
    (line,) = translate(own, {}, "net").lost
    assert line.startswith(lost)


def test_the_servers_own_properties_are_carried_or_told() -> None:
    text = "# comment\njob_queue_size=200\nmax_request_size=1048576\ninference_address=http://0.0.0.0:8080\nmodels={\\\n}\n"
    found = translate({}, properties_of(text), "net")
    assert found.user_config == {"max_queue_size": 200, "max_body_mib": 1}
    (line,) = found.lost
    assert line.startswith("inference_address=http://0.0.0.0:8080: use http_options")


@pytest.mark.parametrize(
    "own, properties", [({"batchSize": "many"}, {}), ({}, {"models": "{"}), ({}, {"models": "[]"})]
)
def test_a_setting_that_cannot_be_read_is_refused(own: dict[str, str], properties: dict[str, str]) -> None:
    with pytest.raises(ModelError, match="help: correct"):
        translate(own, properties, "net")
