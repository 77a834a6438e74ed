"""The text of a new config: what all configs begin with, and an application.

Ray gives the controller and every application their variables from the YAML, and `serve run` reads nothing else, so
each config has to carry them. serve_config.yaml has the same values; a test compares them.
"""

import textwrap
from collections.abc import Mapping
from typing import Any

import yaml

_WIDTH = 110
# A mapping that is no longer than this stands on one line.
_SHORT = 90
ANCHOR = "ray_env_vars"

_HEAD = """\
http_options: {{host: 127.0.0.1, port: 8000}} # this machine only; 0.0.0.0 opens the port to the network

grpc_options: {{port: 9000, grpc_servicer_functions: [deployments.grpc.service:add_to_server]}} # see docs/grpc.md

# What Ray Serve reads from its environment: the same for the controller and, by the anchor, for every application.
controller_options:
  runtime_env:
    env_vars: &ray_env_vars
      RAY_SERVE_ENABLE_HA_PROXY: "1" # HAProxy in front of the replicas; "0": Ray's own proxy, as on macOS
      RAY_SERVE_THROUGHPUT_OPTIMIZED: "1" # Serve's own settings for many requests
      RAY_SERVE_REPLICA_GRPC_MAX_MESSAGE_LENGTH: "2147483647" # bytes that one replica may send another
      RAY_SERVE_HAPROXY_NBTHREAD: "1" # threads of HAProxy
      RAY_SERVE_HAPROXY_METRICS_ENABLED: "0" # its own metrics; those of the models are there anyway
      RAY_SERVE_HAPROXY_LOG_TARGET: "127.0.0.1:514 sample 1:1000" # one line to syslog per 1000 requests
      RAY_SERVE_HAPROXY_TIMEOUT_CLIENT_S: "60" # until a connection is closed that is silent within a request
      RAY_SERVE_HAPROXY_TIMEOUT_SERVER_S: "{patience_s}" # until a silent replica is given up; above request_timeout_s
      RAY_SERVE_PROXY_HEALTH_CHECK_PERIOD_S: "2" # Serve's default is 10; three failed checks replace a proxy
      RAY_SERVE_PROXY_GRACEFUL_SHUTDOWN_TIMEOUT_S: "20" # for the requests in progress at a shutdown
      RAY_SERVE_DIRECT_INGRESS_MIN_DRAINING_PERIOD_S: "1" # one node; "30" for several (docs/shutdown.md)
      RAY_SERVE_CONTROLLER_CALLBACK_IMPORT_PATH: deployments.haproxy:install # guards and restarts HAProxy
      RAY_SERVE_HTTP_PROXY_CALLBACK_IMPORT_PATH: deployments.serve_accounting:install # the short path of requests

logging_config: {{log_level: WARNING, enable_access_log: false}}

applications:
  # Health, /v2, the console at /, and a JSON 404 for all other paths. It must stay, with this name and route.
  - name: root
    route_prefix: /
    import_path: deployments.app:root
    runtime_env: {{env_vars: *ray_env_vars}}
    args: {{grpc_port: 8001}}

"""


def head(patience_s: int = 60) -> str:
    """Return what stands before a config's models; `patience_s` is when HAProxy gives up a replica."""
    return _HEAD.format(patience_s=patience_s)


def application(
    args: Mapping[str, Any],
    deployment: Mapping[str, Any],
    environment: str = f"{{env_vars: *{ANCHOR}}}",
    notes: Mapping[str, str] | None = None,
    remark: str = "",
) -> str:
    """Return a model's application as an item of `applications`, without indentation.

    Args:
        args: a ModelConfig, with its name.
        deployment: keys of its deployment beside max_ongoing_requests.
        environment: its `runtime_env`, on one line.
        notes: comments for keys of `args`.
        remark: a comment below them.
    """
    name, notes = args["name"], notes or {}
    lines = [f"- name: {name}", f"  route_prefix: /v2/models/{name}", "  import_path: deployments.app:model"]
    lines += [f"  runtime_env: {environment}", "  args:"]
    for key, value in args.items():
        first, *rest = dump({key: value}).splitlines()
        lines += [f"    {first}{f' # {notes[key]}' if key in notes else ''}", *(f"    {each}" for each in rest)]
    below = textwrap.indent(dump({"name": "Model", "max_ongoing_requests": 1024, **deployment}), "      ").rstrip()
    lines += [f"    # {line}" for line in textwrap.wrap(remark, _WIDTH - 10)]
    return "\n".join([*lines, "  deployments:", f"    - {below.lstrip()}"]) + "\n"


def dump(value: Mapping[str, Any]) -> str:
    """Return YAML in the keys' own order: a block, with everything short in it on one line."""
    dumper = type("Dumper", (_Dumper,), {"top": value})
    return str(yaml.dump(value, Dumper=dumper, sort_keys=False, width=_WIDTH, allow_unicode=True))


class _Dumper(yaml.SafeDumper):
    """PyYAML's own, but for mappings and lists on one line."""

    top: Any = None

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:  # noqa: ARG002
        super().increase_indent(flow, False)

    def ignore_aliases(self, _: Any) -> bool:
        return True


def _mapping(dumper: _Dumper, data: dict[str, Any]) -> yaml.Node:
    flow = data is not dumper.top and len(str(data)) <= _SHORT + 20
    return dumper.represent_mapping("tag:yaml.org,2002:map", data, flow_style=flow)


def _list(dumper: _Dumper, data: list[Any]) -> yaml.Node:
    flow = not any(isinstance(each, Mapping) for each in data)
    return dumper.represent_sequence("tag:yaml.org,2002:seq", data, flow_style=flow)


def _text(dumper: _Dumper, data: str) -> yaml.Node:
    # In double quotes, as the shipped configs have them, where a text has to be quoted on one line.
    return dumper.represent_scalar("tag:yaml.org,2002:str", data, style='"' if ":" in data else None)


_Dumper.add_representer(str, _text)
_Dumper.add_representer(dict, _mapping)
_Dumper.add_representer(list, _list)
