"""The parts of a URL for messages and file names: never its query, its user or its password."""

import re
from urllib.parse import unquote

_LONGEST_NAME = 120


def shown(location: str) -> str:
    """Return a location for messages: a path as it is, a URL without user, password, query and fragment."""
    if "://" not in location:
        return location
    return re.sub(r"(://)[^/?#]*@", r"\1", re.split(r"[?#]", location, maxsplit=1)[0])


def without_secrets(text: str) -> str:
    """Return a text, such as an exception's, with each URL in it as `shown` returns it."""
    return re.sub(r"[\w+.-]+://[^\s'\"]+", lambda match: shown(match.group()), text)


def file_name(url: str) -> str:
    """Return the last part of a URL's path as a file name; its ending stays, since readers depend on it."""
    last = unquote(shown(url).rstrip("/").rsplit("/", 1)[-1])
    name = re.sub(r"[^\w.-]", "_", last)[-_LONGEST_NAME:].lstrip(".")
    return name or "file"
