"""What a change of a config or of code touches, and the config that has Serve take it."""

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from configs.problems import items

# A change of an application's runtime_env has Serve build it again, with the code as it is then.
_VARIABLE = "PITSTOP_RELOAD"
# These change while the replicas run; all else of an application restarts them.
_IN_PLACE = "deployments"


@dataclass(frozen=True, slots=True)
class Touched:
    """What of a config differs from before: applications, those that are gone too; those among them that start again;
    and keys of the server.
    """

    applications: set[str]
    restarts: set[str]
    server_keys: set[str]


def touched(before: Mapping[str, Any], now: Mapping[str, Any], code: set[str]) -> Touched:
    """Compare two configs; `code` are the applications whose code has changed."""
    old, new = _by_name(before), _by_name(now)
    differ = {name for name, app in new.items() if app != old.get(name)}
    restarts = {name for name in differ if _identity(new[name]) != _identity(old.get(name, {}))}
    keys = {key for key in {*before, *now} - {"applications"} if before.get(key) != now.get(key)}
    return Touched(differ | (set(old) - set(new)) | (code & set(new)), restarts | (code & set(new)), keys)


class Versions:
    """How often each application's code has changed since the start."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._changes: dict[str, int] = {}
        self._written = 0

    def write(self, raw: Mapping[str, Any], code: set[str]) -> Path:
        """Write the config with a variable for each application whose code has changed; return its path."""
        for name in code:
            self._changes[name] = self._changes.get(name, 0) + 1
        # Where two share an anchor, the variable of one would be that of the other.
        own = copy.deepcopy(dict(raw))
        for app in own["applications"]:
            if changes := self._changes.get(str(app.get("name"))):
                environment = copy.deepcopy(app.get("runtime_env") or {})
                environment["env_vars"] = {**(environment.get("env_vars") or {}), _VARIABLE: str(changes)}
                app["runtime_env"] = environment
        self._written += 1
        path = self._folder / f"deployed-{self._written}.yaml"
        path.write_text(yaml.safe_dump(own, sort_keys=False), encoding="utf-8")
        return path


def _by_name(raw: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    return {str(app.get("name")): app for _, app in items(raw, "applications")}


def _identity(app: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in app.items() if key != _IN_PLACE}
