"""Rules for a config with tokens: one application with tokens beside one without is seldom intended."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ..problems import Keys, Problem, items, mapping, where
from .applications import MODEL, ROOT


def auth_rules(raw: Mapping[str, Any]) -> Iterator[Problem]:
    """Yield the applications without `auth`, if another has it."""
    ours = [(index, app) for index, app in items(raw, "applications") if app.get("import_path") in (MODEL, ROOT)]
    yield from _token_files(raw, ours)
    protected = [app for _, app in ours if mapping(app, "args", "auth")]
    if not protected:
        return
    for index, app in ours:
        if not mapping(app, "args", "auth"):
            keys: Keys = ("applications", index, "args", "auth")
            names = ", ".join(str(each.get("name")) for each in protected)
            what = f"is missing: this application answers everyone, but {names} requires a token"
            yield Problem(keys, where(raw, keys), what, "give it the same `auth`, or remove `auth` from all", "warning")


def _token_files(raw: object, apps: list[tuple[int, Mapping[str, Any]]]) -> Iterator[Problem]:
    for index, app in apps:
        location = mapping(app, "args", "auth").get("tokens_file")
        if isinstance(location, str) and location and not Path(location).expanduser().is_file():
            keys: Keys = ("applications", index, "args", "auth", "tokens_file")
            what = f"{location}: no such file on this machine"
            fix = "every node that runs a replica needs this file; without it the model does not start"
            yield Problem(keys, where(raw, keys), what, fix, "warning")
