"""Which ports a config opens to the network."""

from pathlib import Path
from typing import Any

import yaml

from configs.lint.exposed_ports import exposed_ports, sentence, setting_of
from tests.configs.conftest import put

PROJECT = Path(__file__).resolve().parents[2]


def opened(file: str = "serve_config.yaml", /, **changes: Any) -> list[int]:
    raw = yaml.safe_load((PROJECT / file).read_text())
    for path, value in changes.items():
        put(raw, path.split("__"), value)
    return [door.port for door in exposed_ports(setting_of(raw)) if door.port is not None]


GRPC_PROXY_HOST = "applications__0__args__grpc_host"
ENV = "controller_options__runtime_env__env_vars"


def test_a_local_server_still_shows_haproxy_s_own_pages() -> None:
    assert opened() == [8404, 9101, 9500]
    assert opened(grpc_options=None) == [8404, 9101]


def test_an_open_one_shows_all() -> None:
    assert opened("configs/cluster.yaml") == [8000, 8001, 9000, 8404, 9101, 9500]


def test_the_grpc_proxy_follows_http_unless_it_is_told_otherwise() -> None:
    assert 8001 in opened(**{GRPC_PROXY_HOST: "0.0.0.0"})
    assert 8001 not in opened("configs/cluster.yaml", **{GRPC_PROXY_HOST: "127.0.0.1"})


def test_ray_s_own_proxy_puts_grpc_on_every_interface() -> None:
    without: dict[str, Any] = {ENV: {}}
    assert opened(**without) == [9000]


def test_ports_that_were_moved_are_named_where_they_are() -> None:
    assert 18404 in opened(**{f"{ENV}__RAY_SERVE_HAPROXY_STATS_PORT": "18404"})


def test_the_sentence_names_each_and_says_nothing_where_none_is() -> None:
    raw = yaml.safe_load((PROJECT / "serve_config.yaml").read_text())
    told = sentence(list(exposed_ports(setting_of(raw))))
    assert told.startswith("open to the network: 8404 (HAProxy's statistics page), ")
    assert "docs/security.md" in told
    assert sentence([]) == ""


def test_the_ports_that_unpickle_are_named_and_so_is_what_guards_them() -> None:
    raw = yaml.safe_load((PROJECT / "serve_config.yaml").read_text())
    for variables, guard in (
        ({}, "protected by Ray's token"),
        ({"RAY_AUTH_MODE": "disabled"}, "RAY_AUTH_MODE is disabled"),
    ):
        told = sentence(list(exposed_ports(setting_of(raw)._replace(env=variables))))
        assert "one port of each replica (calls between replicas, which unpickle what they receive, " in told
        assert guard in told
