"""The ports that a config uses on a machine, and their rule: never two listeners on one port.

The list is that of exposed_ports.py as if every port were open, plus Serve's fallback and the replicas' port ranges.
"""

import os
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from ..problems import Keys, Problem, items, mapping, where
from ..values import host
from .applications import ROOT
from .exposed_ports import PortSetting, exposed_ports, number, setting_of

_RAY = ((6379, 6379, "Ray's own store"), (8265, 8265, "Ray's dashboard"), (10001, 19999, "Ray's clients and workers"))
_HELP = "choose another port, such as 8000 for HTTP and 8001 for gRPC"


class Listener(NamedTuple):
    """Something that listens on the ports from `first` to `last`, or on some of them."""

    first: int
    last: int
    what: str


def chosen(raw: Mapping[str, Any]) -> list[Listener]:
    """Return the listeners whose ports the config itself names."""
    return [_one(each.port, each.what) for each in exposed_ports(_all_open(raw, {})) if each.port]


def given_by_serve(raw: Mapping[str, Any]) -> list[Listener]:
    """Return Serve's own listeners. If the config has no variables, those of this process are used."""
    env = {**os.environ, **setting_of(raw).env}
    setting = _all_open(raw, env)
    named = {each.what for each in chosen(raw)}
    found = [_one(each.port, each.what) for each in exposed_ports(setting) if each.port and each.what not in named]
    if str(env.get("RAY_SERVE_ENABLE_HA_PROXY", "0")) != "1":
        return found
    found.append(_one(number(env, "RAY_SERVE_FALLBACK_PROXY_HTTP_PORT", 8500), "Serve's fallback HTTP"))
    kinds = [("HTTP", 30000, 31000), ("GRPC", 40000, 41000)]
    for kind, first, last in kinds if setting.serve_grpc is not None else kinds[:1]:
        least = number(env, f"RAY_SERVE_DIRECT_INGRESS_MIN_{kind}_PORT", first)
        most = number(env, f"RAY_SERVE_DIRECT_INGRESS_MAX_{kind}_PORT", last)
        found.append(Listener(least, most, f"the replicas' {'HTTP' if kind == 'HTTP' else 'gRPC'}"))
    return found


def port_rules(raw: Mapping[str, Any]) -> Iterator[Problem]:
    """Yield the ports in a config that are not valid, or that something else uses."""
    yield from _host(raw)
    for keys, port in _ports(raw):
        if not 1 <= port <= 65535:
            yield Problem(keys, where(raw, keys), f"is {port}, which is not a port", "write a number from 1 to 65535")
        for each in given_by_serve(raw):
            if each.first <= port <= each.last:
                span = f" ({each.first} to {each.last})" if each.first < each.last else ""
                yield Problem(keys, where(raw, keys), f"is {port}, which {each.what}{span} uses", _HELP)
        for first, last, what in _RAY:
            if first <= port <= last:
                yield Problem(keys, where(raw, keys), f"is {port}, which {what} may use", _HELP, "warning")


def _host(raw: Mapping[str, Any]) -> Iterator[Problem]:
    keys: Keys = ("http_options", "host")
    given = mapping(raw, "http_options").get("host")
    try:
        host(given if isinstance(given, str) else "127.0.0.1")
    except ValueError as error:
        what, _, help_ = str(error).partition("\nhelp: ")
        yield Problem(keys, where(raw, keys), what, help_)


def _ports(raw: Mapping[str, Any]) -> Iterator[tuple[Keys, int]]:
    """Yield the ports that the config uses. Other rules report values that are not whole numbers."""
    setting = setting_of(raw)
    roots = [index for index, app in items(raw, "applications") if app.get("import_path") == ROOT]
    places: list[tuple[Keys, int | None]] = [
        (("http_options", "port"), setting.http_port),
        (("grpc_options", "port"), setting.serve_grpc),
        *((("applications", index, "args", "grpc_port"), setting.grpc_proxy) for index in roots[:1]),
    ]
    for keys, port in places:
        given = mapping(raw, *keys[:-1]).get(str(keys[-1]), port)
        if port is not None and type(given) is int:
            yield keys, port


def _all_open(raw: Mapping[str, Any], env: Mapping[str, Any]) -> PortSetting:
    return setting_of(raw)._replace(http_host="", grpc_proxy_host=None, env=env)


def _one(port: int, what: str) -> Listener:
    return Listener(port, port, what)
