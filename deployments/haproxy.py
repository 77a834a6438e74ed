"""Our manager of HAProxy in place of Ray's, on each node: ray_compat/haproxy_manager.py says what it does.

Serve's controller calls `install` at its start (RAY_SERVE_CONTROLLER_CALLBACK_IMPORT_PATH).
"""

from .ray_compat import haproxy


def install() -> None:
    """Have the controller start our manager; where Ray's is not as expected, Ray's stays."""
    haproxy.replace_manager()
