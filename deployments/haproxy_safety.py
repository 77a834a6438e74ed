"""For ray_compat/haproxy_manager.py: closes HAProxy's socket to other users, names a port that is taken, and ends
HAProxy with its manager.
"""

import ctypes
import logging
import os
import re
import signal
import stat
from pathlib import Path

_log = logging.getLogger("ray.serve")
_PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None)
_HELP = (
    "help: remove it, or let RAY_SERVE_HAPROXY_SOCKET_PATH and RAY_SERVE_HAPROXY_CONFIG_FILE_LOC name a folder of yours"
)
_STARTING = '{"error":"the server is starting: try again in 1 s"}'
_NO_ROUTES = f"""
backend default_backend
{{%- if not config.has_received_routes %}}
    http-request return status 503 content-type application/json string '{_STARTING}' hdr Retry-After 1
{{%- endif %}}
"""
# Of Ray's template: what is replaced, and by what.
CHANGES = (
    ("mode 666 level admin", "mode 600 level admin"),
    # Without routes HAProxy says 404, which tells a client not to try again.
    ("\nbackend default_backend\n", _NO_ROUTES),
    # A process from before a reload looks busy while it keeps a connection to a replica: by default up to 15 s.
    ("    balance {{ config", "    default-server pool-purge-delay 1s\n    balance {{ config"),
)


def changed(template: str) -> str:
    """Return Ray's template with our changes."""
    for old, new in CHANGES:
        if template.count(old) != 1:
            _log.warning("HAProxy's configuration has no %r in this Ray: it is left as it is", old.strip())
        template = template.replace(old, new)
    return template


def private_folder(base: Path, name: str) -> Path:
    """Make a folder that other users cannot enter.

    Raises:
        RuntimeError: other users can replace what is in `base`, or the folder is another's.
    """
    base.mkdir(mode=0o700, parents=True, exist_ok=True)
    folder = base / name
    folder.mkdir(mode=0o700, exist_ok=True)
    found, mode = base.stat(), base.stat().st_mode
    shared = mode & 0o022 and not mode & stat.S_ISVTX
    if found.st_uid not in (0, os.getuid()) or shared:
        raise RuntimeError(f"{base}: other users can replace HAProxy's socket and configuration there\n{_HELP}")
    if folder.is_symlink() or folder.stat().st_uid != os.getuid():
        raise RuntimeError(f"{folder} belongs to another user\n{_HELP}")
    folder.chmod(0o700)
    return folder


def port_taken(output: str) -> str:
    """Return the ports that HAProxy reported as in use, in two lines of text."""
    wanted = sorted(set(re.findall(r"for \[(\S+:\d+)\]", output)))
    return (
        f"HAProxy cannot listen on {', '.join(wanted) or 'a port of the config'}: another program holds it\n"
        "help: end that program (`ss -ltnp` shows it; it may be an older `serve run`), or choose another port"
    )


def end_with_parent() -> None:
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
