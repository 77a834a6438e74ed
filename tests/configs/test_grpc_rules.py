from collections.abc import Callable

import pytest

from configs.problems import Problem

Lint = Callable[..., list[Problem]]
GRPC_PROXY = "applications__0__args__grpc_port"
FUNCTIONS = "grpc_options__grpc_servicer_functions"
GENERATED = "deployments.stubs.open_inference_pb2_grpc:add_GRPCInferenceServiceServicer_to_server"


def test_what_is_shipped_is_right(changed: Lint) -> None:
    assert changed() == []


def test_each_way_may_be_there_alone_or_not_at_all(changed: Lint) -> None:
    assert changed(grpc_options=None) == []
    assert changed(grpc_options=None, applications__0__args=None) == []


@pytest.mark.parametrize("functions", [[], [GENERATED], ["mine:add"]])
def test_serve_s_port_needs_our_service(changed: Lint, functions: list[str]) -> None:
    [problem] = [each for each in changed(**{FUNCTIONS: functions}) if each.severity == "error"]
    assert problem.where == "grpc_options.grpc_servicer_functions"
    assert "deployments.grpc.service:add_to_server" in problem.help


def test_services_of_the_user_s_own_may_stand_beside_ours(changed: Lint) -> None:
    assert changed(**{FUNCTIONS: ["deployments.grpc.service:add_to_server", "mine:add"]}) == []


def test_without_a_grpc_proxy_unmodified_clients_are_lost(changed: Lint) -> None:
    [problem] = changed(**{GRPC_PROXY: None})
    assert problem.severity == "warning"
    assert "grpc_port: 8001" in problem.help


@pytest.mark.parametrize(
    "path, port, told",
    [
        (GRPC_PROXY, 8000, "applications[0] (root).args.grpc_port: is 8000, the same as http_options.port"),
        (GRPC_PROXY, 9000, "applications[0] (root).args.grpc_port: is 9000, the same as grpc_options.port"),
        ("grpc_options__port", 8000, "grpc_options.port: is 8000, the same as http_options.port"),
        ("http_options__port", 9000, "grpc_options.port: is 9000, the same as http_options.port"),
    ],
)
def test_no_two_of_them_share_a_port(changed: Lint, path: str, port: int, told: str) -> None:
    assert [f"{each.where}: {each.what}" for each in changed(**{path: port})] == [told]


def test_a_default_port_counts_too(changed: Lint) -> None:
    assert [each.where for each in changed(grpc_options__port=None, **{GRPC_PROXY: 9000})] == [
        "applications[0] (root).args.grpc_port"
    ]
