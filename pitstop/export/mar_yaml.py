"""The config that an imported archive is served with: complete, ready for `pitstop check` and `serve run`.

What could not be carried over stands in it as comments, above the model that it belongs to.
"""

import math
import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

from .yaml_lines import dump

_HEAD = """\
# {name}, imported from the TorchServe archive {archive} by `pitstop export --mar`.
# serve_config.yaml explains the parts that all files share.

http_options: {{host: 127.0.0.1, port: 8000}}

grpc_options: {{port: 9000, grpc_servicer_functions: [deployments.grpc.service:add_to_server]}}

controller_options:
  runtime_env:
    env_vars: &ray_env_vars
      RAY_SERVE_ENABLE_HA_PROXY: "1"
      RAY_SERVE_THROUGHPUT_OPTIMIZED: "1"
      RAY_SERVE_REPLICA_GRPC_MAX_MESSAGE_LENGTH: "2147483647"
      RAY_SERVE_HAPROXY_NBTHREAD: "1"
      RAY_SERVE_HAPROXY_METRICS_ENABLED: "0"
      RAY_SERVE_HAPROXY_LOG_TARGET: "127.0.0.1:514 sample 1:1000"
      RAY_SERVE_HAPROXY_TIMEOUT_CLIENT_S: "60"
      RAY_SERVE_HAPROXY_TIMEOUT_SERVER_S: "{patience_s}"
      RAY_SERVE_PROXY_HEALTH_CHECK_PERIOD_S: "2"
      RAY_SERVE_PROXY_GRACEFUL_SHUTDOWN_TIMEOUT_S: "20"
      RAY_SERVE_DIRECT_INGRESS_MIN_DRAINING_PERIOD_S: "1"
      RAY_SERVE_CONTROLLER_CALLBACK_IMPORT_PATH: deployments.haproxy:install
      RAY_SERVE_HTTP_PROXY_CALLBACK_IMPORT_PATH: deployments.serve_accounting:install

logging_config: {{log_level: WARNING, enable_access_log: false}}

applications:
  - name: root
    route_prefix: /
    import_path: deployments.app:root
    runtime_env: {{env_vars: *ray_env_vars}}
    args: {{grpc_port: 8001}}

"""
_MODEL = """\
  - name: {name}
    route_prefix: /v2/models/{name}
    import_path: deployments.app:model
    runtime_env: {{env_vars: *ray_env_vars}}
    args:
{args}
    deployments:
      - name: Model
{deployment}
"""
_WIDTH = 120


def render(archive: str, args: Mapping[str, Any], deployment: Mapping[str, Any], lost: Sequence[str]) -> str:
    """Return the file. `args` is a ModelConfig as a mapping, `deployment` the deployment's own keys."""
    name = args["name"]
    model = _MODEL.format(
        name=name,
        args=textwrap.indent(dump(args).rstrip(), " " * 6),
        deployment=textwrap.indent(dump({"max_ongoing_requests": 1024, **deployment}).rstrip(), " " * 8),
    )
    # HAProxy must not give up before the model does.
    patience_s = max(60, 2 * math.ceil(deployment.get("user_config", {}).get("request_timeout_s", 0)))
    return _HEAD.format(name=name, archive=_plain(archive), patience_s=patience_s) + _comments(lost) + model


def _comments(lost: Sequence[str]) -> str:
    if not lost:
        return "  # Everything in the archive was carried over.\n"
    lines = ["  # Not carried over from TorchServe:"]
    for each in lost:
        # A setting's text is the archive's: a line break in it must not end the comment.
        lines += textwrap.wrap(_plain(each), _WIDTH, initial_indent="  # - ", subsequent_indent="  #   ")
    return "\n".join(lines) + "\n"


def _plain(text: str) -> str:
    return "".join(character if character.isprintable() else " " for character in text)
