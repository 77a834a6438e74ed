"""Checks the environment variables of a Serve config.

Some of them must be the same for the controller and the replicas, and nothing reads a misspelt variable.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from ..problems import Keys, Problem, child, items, mapping, where
from ..schema import Tunables
from ..suggest import closest
from .callables import missing_in_module
from .ray_variables import known as known_to_ray
from .ray_variables import unreadable

# Calls between replicas go by gRPC only where this is set: Ray's limit of 4 MiB is too low for them.
MESSAGE_LIMIT = "RAY_SERVE_REPLICA_GRPC_MAX_MESSAGE_LENGTH"
_HIGHEST_LIMIT = 2**31 - 1
# The controller and the replicas must have the same values.
SHARED_VARIABLES = (
    "RAY_SERVE_ENABLE_HA_PROXY",
    "RAY_SERVE_THROUGHPUT_OPTIMIZED",
    MESSAGE_LIMIT,
    "RAY_SERVE_HAPROXY_NBTHREAD",
    "RAY_SERVE_HAPROXY_METRICS_ENABLED",
)
MANAGER = "RAY_SERVE_CONTROLLER_CALLBACK_IMPORT_PATH"
# Ray imports both without a check: if that fails, the controller or a replica does not start.
_CALLBACKS = (MANAGER, "RAY_SERVE_HTTP_PROXY_CALLBACK_IMPORT_PATH")
SERVER_TIMEOUT = "RAY_SERVE_HAPROXY_TIMEOUT_SERVER_S"
DRAIN = "RAY_SERVE_DIRECT_INGRESS_MIN_DRAINING_PERIOD_S"
# Serve's default for graceful_shutdown_timeout_s.
_GRACE_S = 20
# Long enough for most models to start without a cache.
_FIRST_START_S = 300
_TIMEOUT_S: float = Tunables.model_fields["request_timeout_s"].default
_CONTROLLER: Keys = ("controller_options", "runtime_env", "env_vars")
_HELP = "give it the same value in controller_options and in every application; a YAML anchor does that"


def environment_rules(raw: Mapping[str, Any]) -> Iterator[Problem]:
    """Yield variables that are misspelt, not strings, or set on one side only."""
    places: list[Keys] = [("applications", i, "runtime_env", "env_vars") for i, _ in items(raw, "applications")]
    for keys in [_CONTROLLER, *places]:
        yield from _values(raw, keys)
        yield from _callbacks(raw, keys)
    for keys in places:
        yield from _one_sided(raw, keys)
    yield from _message_limit(raw)
    yield from _patience(raw)
    yield from _open_socket(raw)
    yield from _drain(raw)


def _values(raw: object, keys: Keys) -> Iterator[Problem]:
    for name, value in mapping(raw, *keys).items():
        path = (*keys, name)
        if not isinstance(value, str):
            what = f"is {value!r}, which is not a string; Ray accepts only strings here"
            yield Problem(path, where(raw, path), what, f'put it in quotes: "{value}"')
        elif kind := unreadable(str(name), value):
            what = f"is {value!r}, but Ray Serve needs {kind}"
            yield Problem(path, where(raw, path), what, f'write {kind}, such as "60"')
        known = known_to_ray()
        if known and str(name).startswith("RAY_SERVE_") and name not in known:
            best = closest(name, known)
            guess = f"did you mean {best!r}?" if best else "check its name in Ray's documentation"
            yield Problem(
                path, where(raw, path), "the installed Ray Serve does not read this variable", guess, "warning"
            )


def _callbacks(raw: object, keys: Keys) -> Iterator[Problem]:
    for name in _CALLBACKS:
        value, path = mapping(raw, *keys).get(name), (*keys, name)
        if not isinstance(value, str) or not value:
            continue
        # Ray accepts `package.module.callable` too, and no path of a file.
        wrong = missing_in_module(value if ":" in value else ":".join(value.rsplit(".", 1)))
        if ":" not in value and "." not in value:
            wrong = f"{value!r} is not an import path", "write it as package.module:callable"
        if wrong:
            yield Problem(path, where(raw, path), *wrong)


def _one_sided(raw: object, keys: Keys) -> Iterator[Problem]:
    controller, app = mapping(raw, *_CONTROLLER), mapping(raw, *keys)
    for name in SHARED_VARIABLES:
        here, there = child(app, name), child(controller, name)
        if here == there:
            continue
        if here is None:
            what = f"{name} is {there!r} for the controller, but not set here"
        elif there is None:
            what = f"{name} is {here!r} here, but not set in controller_options"
        else:
            what = f"{name} is {here!r} here, but {there!r} in controller_options"
        yield Problem(keys, where(raw, keys), what, _HELP)


def _message_limit(raw: Mapping[str, Any]) -> Iterator[Problem]:
    """Where replicas call each other, a call must go by gRPC, and gRPC must take it whatever its size."""
    for i, app in items(raw, "applications"):
        has_canary = any(child(mapping(each, "user_config"), "canary") for _, each in items(app, "deployments"))
        if not has_canary and not child(mapping(app, "args"), "ingress_replicas"):
            continue
        keys: Keys = ("applications", i, "runtime_env", "env_vars")
        given = str(mapping(raw, *keys).get(MESSAGE_LIMIT) or "")
        if not given:
            what = f"without {MESSAGE_LIMIT} a caller that hangs can freeze the replica that it called"
        elif given.isdigit() and int(given) < _HIGHEST_LIMIT:
            keys, what = (
                (*keys, MESSAGE_LIMIT),
                f"calls between replicas that are larger than {given} bytes are refused",
            )
        else:
            continue
        yield Problem(keys, where(raw, keys), what, f'write {MESSAGE_LIMIT}: "{_HIGHEST_LIMIT}"', "warning")


def _open_socket(raw: Mapping[str, Any]) -> Iterator[Problem]:
    variables = mapping(raw, *_CONTROLLER)
    if variables.get("RAY_SERVE_ENABLE_HA_PROXY") == "1" and MANAGER not in variables:
        what = "every user of the machine can write to HAProxy's admin socket, and a dead HAProxy is restarted slowly"
        help_ = f"add {MANAGER}: deployments.haproxy:install"
        yield Problem(_CONTROLLER, where(raw, _CONTROLLER), what, help_, "warning")


def _drain(raw: Mapping[str, Any]) -> Iterator[Problem]:
    """A replica must have time for the requests that it accepts at the end of its drain."""
    given = str(mapping(raw, *_CONTROLLER).get(DRAIN) or "")
    for i, app in items(raw, "applications") if given.isdigit() else ():
        for j, each in items(app, "deployments"):
            grace_s = each.get("graceful_shutdown_timeout_s", _GRACE_S)
            if isinstance(grace_s, int | float) and grace_s <= int(given):
                path = ("applications", i, "deployments", j)
                what = f"a stopping replica accepts requests for {given} s ({DRAIN}) and may be ended before it answers"
                help_ = f"write graceful_shutdown_timeout_s: {int(given) + int(_TIMEOUT_S)}"
                yield Problem(path, where(raw, path), what, help_, "warning")


def _patience(raw: Mapping[str, Any]) -> Iterator[Problem]:
    """HAProxy must not give up a request that its model may still answer, or that waits for a first replica."""
    path = (*_CONTROLLER, SERVER_TIMEOUT)
    given = str(mapping(raw, *_CONTROLLER).get(SERVER_TIMEOUT) or "")
    if not given.isdigit():
        return
    for _, app in items(raw, "applications"):
        for _, each in items(app, "deployments"):
            name, limit_s = app.get("name"), mapping(each, "user_config").get("request_timeout_s", _TIMEOUT_S)
            if isinstance(limit_s, int | float) and int(given) <= limit_s:
                what = f"HAProxy gives up a request after {given} s, but {name} may take {limit_s:g} s to answer"
                yield Problem(
                    path, where(raw, path), what, f'write "{2 * int(limit_s)}", or lower request_timeout_s of {name}'
                )
            if mapping(each, "autoscaling_config").get("min_replicas") == 0 and int(given) < _FIRST_START_S:
                what = f"after {given} s HAProxy also gives up requests that wait for the first replica of {name}"
                help_ = f'write "{_FIRST_START_S}", or more if {name} takes longer to start'
                yield Problem(path, where(raw, path), what, help_, "warning")
