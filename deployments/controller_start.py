"""What Serve's controller does at its start, by RAY_SERVE_CONTROLLER_CALLBACK_IMPORT_PATH.

`install` replaces Ray's manager of HAProxy with ours, on each node (ray_compat/haproxy_manager.py says what it does),
and has pitstop's applications built in one process (ray_compat/builds.py). Every config names it by haproxy.py.
"""

from .ray_compat import builds, haproxy


def install() -> None:
    """Have the controller do both, or what Serve itself does if that is not as expected."""
    haproxy.replace_manager()
    builds.share_process()
