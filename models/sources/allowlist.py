"""Where models may come from: $PITSTOP_SOURCES has folders and URL prefixes, with commas between; unset, anywhere.

Whoever runs the nodes sets it, so that a config edited by somebody else cannot load a file from elsewhere, neither
weights nor the code of `path/to/file.py:name`. It does not apply to `package.module:name`: code that can be imported is
code that was installed.
"""

import os
import re
from pathlib import Path
from urllib.parse import unquote

from ..errors import ModelError
from .urls import shown

VARIABLE = "PITSTOP_SOURCES"
_LOCAL = ("file", "local")


def allow_path(path: Path, location: str) -> Path:
    """Return the file with symlinks and `..` resolved; raise ModelError if it is outside of every folder."""
    folders = [Path(place).expanduser().resolve() for place in _places() if "://" not in place]
    if VARIABLE not in os.environ:
        return path
    resolved = path.resolve()
    if not any(resolved.is_relative_to(folder) for folder in folders):
        raise _refused(location, f"is {resolved}, outside of")
    return resolved


def allow_url(url: str) -> None:
    """Raise ModelError if no prefix covers the URL. It covers whole parts of a path: /a covers /a/b, not /ab."""
    if VARIABLE not in os.environ:
        return
    scheme, _, rest = url.partition("://")
    if "::" in url or ".." in re.split(r"[/\\?#;]", unquote(unquote(url))):
        raise _refused(url, "leads elsewhere by `..` or `::`, past")
    if scheme in _LOCAL:
        allow_path(Path(rest).expanduser(), url)
        return
    if not any(_covers(prefix, url) for prefix in _places() if "://" in prefix):
        raise _refused(url, "is not below")


def _covers(prefix: str, url: str) -> bool:
    return url.startswith(prefix if prefix.endswith("/") else prefix + "/")


def _places() -> list[str]:
    return [place.strip() for place in os.environ.get(VARIABLE, "").split(",") if place.strip()]


def _refused(location: str, what: str) -> ModelError:
    return ModelError(
        f"{shown(location)}: {what} the places that {VARIABLE} allows: {', '.join(_places()) or 'none'}\n"
        f"help: move the file there, or ask the operator of the nodes to add its place to {VARIABLE}"
    )
