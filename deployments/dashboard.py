"""Where Ray's dashboard is, and how to get in."""

import os
import sys
from pathlib import Path

import ray


def running_dashboard() -> str:
    """Return the line for the dashboard of the Ray that this process is connected to; "" where there is none."""
    try:
        return line(ray.init(ignore_reinit_error=True).dashboard_url or "")
    except Exception:  # No reason for the root application not to start.
        return ""


def line(address: str) -> str:
    """Return the line for one at this address; Ray sets RAY_AUTH_MODE where it protects a new cluster by itself."""
    if not address:
        return ""
    if os.environ.get("RAY_AUTH_MODE", "").lower() != "token":
        return f"Ray's dashboard: http://{address}"
    command = Path(sys.executable).with_name("ray")
    return f"Ray's dashboard: http://{address}, which asks for a token: `{command} get-auth-token` prints it"
