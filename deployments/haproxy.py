"""Replaces Ray's manager of HAProxy with ours, on each node: ray_compat/haproxy_manager.py says what it does.

Serve's controller calls `install` at its start (RAY_SERVE_CONTROLLER_CALLBACK_IMPORT_PATH).
"""

from .ray_compat import haproxy


def install() -> None:
    """Have the controller start our manager, or Ray's own if that is not as expected."""
    haproxy.replace_manager()
