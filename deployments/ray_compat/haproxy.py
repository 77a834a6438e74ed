"""Has Serve's controller start our manager of HAProxy (haproxy_manager.py) in place of Ray's."""

import logging
from typing import Any

from .names import Part, classes, fields, functions, usable, values

_HAPROXY, _CONSTANTS = "ray.serve._private.haproxy", "ray.serve._private.constants"
PART = Part(
    "Ray's manager of HAProxy",
    "a HAProxy that dies is replaced only after three failed health checks. If its manager dies, it keeps its port. "
    "Its admin socket is open to every user of the machine. A stop cuts off the requests in progress",
    (
        *values("ray.serve._private.controller", "HAProxyManager"),
        *classes(_HAPROXY, {"HAProxyManager": "http_options grpc_options node_id ..."}),
        *functions(_HAPROXY, {"HAProxyManager.ready": "", "HAProxyManager.shutdown": "", "HAProxyApi.start": ""}),
        *fields(_HAPROXY, "HAProxyManager", "event_loop _haproxy _haproxy_start_task _reload_lock"),
        *fields(_HAPROXY, "HAProxyApi", "_proc _old_procs cfg"),
        *values(_HAPROXY, "HAPROXY_CONFIG_TEMPLATE"),
        *values(_CONSTANTS, "RAY_SERVE_HAPROXY_SOCKET_PATH RAY_SERVE_HAPROXY_CONFIG_FILE_LOC"),
        *values(_CONSTANTS, "PROXY_GRACEFUL_SHUTDOWN_TIMEOUT_S"),
    ),
)
_log = logging.getLogger("ray.serve")


def replace_manager() -> None:
    """Do so in this process; without HAProxy this changes nothing."""
    if not usable(PART):
        return
    try:
        import ray
        from ray.serve._private import controller

        from .haproxy_manager import SupervisedHAProxy

        private: Any = controller
        private.HAProxyManager = ray.remote(num_cpus=0)(SupervisedHAProxy)
    except Exception:  # The controller would not start.
        _log.exception("pitstop's HAProxy manager does not fit this Ray: Ray's own is used")
