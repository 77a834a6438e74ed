"""What this project asks of a config with tokens: a door that is locked beside one that stands open is seldom meant."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from .problems import Keys, Problem, items, mapping, where
from .rules import MODEL, ROOT


def access_rules(raw: Mapping[str, Any]) -> Iterator[Problem]:
    """Yield the applications without `access`, where another has it."""
    ours = [(index, app) for index, app in items(raw, "applications") if app.get("import_path") in (MODEL, ROOT)]
    yield from _token_files(raw, ours)
    locked = [app for _, app in ours if mapping(app, "args", "access")]
    if not locked:
        return
    for index, app in ours:
        if not mapping(app, "args", "access"):
            keys: Keys = ("applications", index, "args", "access")
            names = ", ".join(str(each.get("name")) for each in locked)
            what = f"is missing, and this application is open to everybody, while {names} asks for a token"
            yield Problem(keys, where(raw, keys), what, "give it the same `access`, or none to any", "warning")


def _token_files(raw: object, apps: list[tuple[int, Mapping[str, Any]]]) -> Iterator[Problem]:
    for index, app in apps:
        location = mapping(app, "args", "access").get("tokens_file")
        if isinstance(location, str) and location and not Path(location).expanduser().is_file():
            keys: Keys = ("applications", index, "args", "access", "tokens_file")
            what = f"{location}: no such file on this machine"
            fix = "every node that runs a replica needs it, or the model does not start"
            yield Problem(keys, where(raw, keys), what, fix, "warning")
