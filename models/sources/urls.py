"""What of a URL may be shown or become a file's name: never its query, its user or its password."""

import re
from urllib.parse import unquote

_LONGEST_NAME = 120


def shown(location: str) -> str:
    """Return a location for messages: a path as it is, a URL without user, password, query and fragment."""
    if "://" not in location:
        return location
    return re.sub(r"(://)[^/?#]*@", r"\1", re.split(r"[?#]", location, maxsplit=1)[0])


def without_secrets(text: str) -> str:
    """Return a text, an exception's say, with each URL in it as `shown` has it; the rest of the text stays."""
    return re.sub(r"[\w+.-]+://[^\s'\"]+", lambda match: shown(match.group()), text)


def file_name(url: str) -> str:
    """Return the last part of a URL's path, fit to be a file's name; its ending stays, readers go by it."""
    last = unquote(shown(url).rstrip("/").rsplit("/", 1)[-1])
    name = re.sub(r"[^\w.-]", "_", last)[-_LONGEST_NAME:].lstrip(".")
    return name or "file"
