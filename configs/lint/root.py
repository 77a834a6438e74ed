"""Rules for the root application: it is there, once, with its own name, at `/`."""

from collections.abc import Iterator, Mapping
from typing import Any

from ..problems import Keys, Problem, items, where
from .applications import MODEL, ROOT, deployment_name, must_be

_DOES = "the console, /v2, health, /docs, gRPC on grpc_port and JSON 404s"
_OWN = {"name": "root", "route_prefix": "/"}


def root_rules(raw: Mapping[str, Any]) -> Iterator[Problem]:
    """Yield what is wrong with the root application, and who has taken its name or its route."""
    apps = items(raw, "applications")
    roots = [(index, app) for index, app in apps if app.get("import_path") == ROOT]
    if not roots:
        yield Problem(
            ("applications",),
            "applications",
            f"no application has import_path {ROOT}: {_DOES} are missing",
            f"add {{name: root, route_prefix: /, import_path: {ROOT}}}, with the runtime_env of the others",
            "warning",
        )
        return
    (first, root), *others = roots
    keys: Keys = ("applications", first)
    # Serve's default is this route, and another name.
    for key in ("name", *(["route_prefix"] if "route_prefix" in root else [])):
        yield from must_be(raw, root, (*keys, key), _OWN[key], f"the root application has {_DOES}")
    for index, deployment in items(root, "deployments"):
        yield from deployment_name(raw, deployment, (*keys, "deployments", index), "Root")
    for index, _ in others:
        at: Keys = ("applications", index)
        yield Problem(at, where(raw, at), f"is a second root application, after applications[{first}]", "remove it")
    for index, app in apps:
        if app.get("import_path") != ROOT:
            yield from _taken(raw, app, ("applications", index), first)


def _taken(raw: object, app: Mapping[str, Any], keys: Keys, root: int) -> Iterator[Problem]:
    model = app.get("import_path") == MODEL
    # A model's route and name have a rule of their own. Without the key Serve's default is `/`.
    if not model and app.get("route_prefix", "/") == "/":
        at = (*keys, "route_prefix")
        what = f"'/' is the route of the root application, applications[{root}], which has {_DOES}"
        yield Problem(at, where(raw, at), what, f"give this application another, such as /{app.get('name', 'mine')}")
    if app.get("name") == _OWN["name"]:
        at = (*keys, "name")
        what = f"'root' is the name of the root application, applications[{root}]"
        args = app.get("args")
        named = model and isinstance(args, Mapping) and args.get("name") == _OWN["name"]
        fix = "give the model another name, in args.name and route_prefix too" if named else "give it another name"
        yield Problem(at, where(raw, at), what, fix)
