"""Rules for a config with a canary: it must be another application of the same model, with another version."""

from collections.abc import Iterator, Mapping
from typing import Any

from ..problems import Keys, Problem, items, mapping, where
from ..suggest import closest
from .applications import INGRESS, MODEL

App = Mapping[str, Any]


def canary_rules(raw: Mapping[str, Any]) -> Iterator[Problem]:
    """Yield the problems of each canary."""
    apps = {str(app.get("name")): app for _, app in items(raw, "applications") if app.get("import_path") == MODEL}
    for index, app in items(raw, "applications"):
        for number, deployment in items(app, "deployments"):
            canary = mapping(deployment, "user_config", "canary")
            if app.get("import_path") != MODEL or not canary:
                continue
            keys: Keys = ("applications", index, "deployments", number, "user_config", "canary")
            found = _place(app, deployment) or _partner(app, str(canary.get("application")), apps)
            if found is not None:
                at = (*keys, "application")
                yield Problem(at, where(raw, at), *found)


def _place(app: App, deployment: App) -> tuple[str, str] | None:
    reads = INGRESS if mapping(app, "args").get("ingress_replicas") else "Model"
    if deployment.get("name") == reads:
        return None
    what = f"is under {deployment.get('name')!r}, which does not read the requests here: the canary would get none"
    return what, f"move it to the user_config of the deployment named {reads}"


def _partner(app: App, name: str, apps: Mapping[str, App]) -> tuple[str, str] | None:
    other = apps.get(name)
    if other is None:
        best = closest(name, apps)
        guess = f"did you mean {best!r}?" if best else "add the application that serves the other version"
        return f"is {name!r}, but no application with import_path {MODEL} has that name", guess
    if other is app:
        return "is the application itself", "name the application that serves the other version"
    if any(mapping(each, "user_config").get("canary") for _, each in items(other, "deployments")):
        return f"is {name!r}, which has a canary of its own: that one would get no requests", "remove one of the two"
    mine, its = mapping(app, "args"), mapping(other, "args")
    for key in ("inputs", "outputs"):
        if _tensors(mine, key) != _tensors(its, key):
            what = f"is {name!r}, whose {key} differ: a client may get its answer from either"
            return what, f"give both the same {key}, or serve the other model without a canary share"
    if str(mine.get("version", "1")) == str(its.get("version", "1")):
        what = f"is {name!r}, which has the same version, {str(its.get('version', '1'))!r}"
        return what, "give the canary another version, which its answers then show"
    return None


def _tensors(args: Mapping[str, Any], key: str) -> list[object]:
    return [(each.get("name"), each.get("datatype"), each.get("shape")) for _, each in items(args, key)]
