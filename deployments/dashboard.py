"""Where Ray's dashboard is, and how to get in."""

import logging
import os
import sys
from pathlib import Path

import ray

_log = logging.getLogger("ray.serve")


def running_dashboard() -> str:
    """Return the line for the dashboard of the Ray that this process is connected to; "" where there is none.

    Its reader may be on another machine, so no path of this one is in it.
    """
    try:
        return line(ray.init(ignore_reinit_error=True).dashboard_url or "", "ray")
    except Exception:  # No reason for the root application not to start.
        _log.warning("Ray does not say where its dashboard is", exc_info=True)
        return ""


def line(address: str, command: str = str(Path(sys.executable).with_name("ray"))) -> str:
    """Return the line for one at this address, with a command that prints its token.

    Ray sets RAY_AUTH_MODE where it protects a new cluster by itself.
    """
    if not address:
        return ""
    if os.environ.get("RAY_AUTH_MODE", "").lower() != "token":
        return f"Ray's dashboard: http://{address}"
    return f"Ray's dashboard: http://{address}, which asks for a token: `{command} get-auth-token` prints it"
