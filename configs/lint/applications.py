"""Rules for a Serve config beyond Serve's own keys: names, routes, and batches that can fill."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from ..precisions import AUTO
from ..problems import Keys, Problem, items, mapping, value_at, where
from ..schema import NAME, ModelConfig
from ..suggest import advise, closest

MODEL = "deployments.app:model"
ROOT = "deployments.app:root"
INGRESS = "Ingress"

App = Mapping[str, Any]
_DEPLOYMENT = {MODEL: "Model", ROOT: "Root"}


def application_rules(raw: Mapping[str, Any]) -> Iterator[Problem]:
    """Yield every breach of these rules, in the order of the file."""
    apps = items(raw, "applications")
    yield from _duplicates(raw, "name", "default")
    yield from _duplicates(raw, "route_prefix", "/")
    for index, app in apps:
        keys: Keys = ("applications", index)
        path = app.get("import_path")
        if path == MODEL:
            yield from _model(raw, app, keys)
        elif path != ROOT:
            yield from _import_path(raw, path, keys)


def _duplicates(raw: Mapping[str, Any], key: str, default: str) -> Iterator[Problem]:
    seen: dict[object, int] = {}
    apps = items(raw, "applications")
    at_root = any(app.get("import_path") == ROOT for _, app in apps)
    for index, app in apps:
        value = app.get(key, default)
        if at_root and value in ("root", "/"):  # root.py tells of these.
            continue
        path: Keys = ("applications", index, key)
        if value is None or not isinstance(value, str):
            continue
        if value in seen:
            what = f"{value!r} is already used by applications[{seen[value]}]"
            yield Problem(path, where(raw, path), what, f"give each application its own {key}")
        seen.setdefault(value, index)


def _model(raw: object, app: App, keys: Keys) -> Iterator[Problem]:
    name = mapping(app, "args").get("name")
    if isinstance(name, str) and re.fullmatch(NAME, name):
        for key, expected in (("name", name), ("route_prefix", f"/v2/models/{name}")):
            yield from must_be(
                raw, app, (*keys, key), expected, "the application and its route have the name in args.name"
            )
    deployments = items(app, "deployments")
    for index, deployment in deployments:
        if deployment.get("name") == INGRESS and mapping(app, "args").get("ingress_replicas"):
            continue
        yield from deployment_name(raw, deployment, (*keys, "deployments", index), "Model")
        yield from _actor_options(raw, deployment, (*keys, "deployments", index))
    # A misspelt name is reported above; its entry still counts as the model's.
    index, deployment = next(((i, each) for i, each in deployments if each.get("name") != INGRESS), (0, {}))
    yield from _ongoing(raw, app, deployment, (*keys, "deployments", index))
    yield from _rows(raw, app, deployment, (*keys, "deployments", index))
    yield from _queue(raw, app, deployment, (*keys, "deployments", index))
    yield from _tolerance(raw, app, (*keys, "args"))
    yield from _precision(raw, app, (*keys, "args"))
    yield from _accelerator(raw, app, (*keys, "args", "accelerator_type"))


def _import_path(raw: object, path: object, keys: Keys) -> Iterator[Problem]:
    # Anything else is an application of the user's own, which is allowed.
    best = closest(path, _DEPLOYMENT)
    if isinstance(path, str) and (path.startswith("deployments.") or best):
        at = (*keys, "import_path")
        yield Problem(at, where(raw, at), f"{path!r} does not exist", f"did you mean {best or MODEL!r}?")


def must_be(raw: object, app: App, at: Keys, expected: str, why: str) -> list[Problem]:
    """Return a problem if an application has another value under the last of these keys."""
    key = at[-1]
    found = app.get(str(key))
    if found == expected:
        return []
    what = f"is {found!r}, not {expected!r}" if key in app else "is missing"
    return [Problem(at, where(raw, at), what, f"write `{key}: {expected}`: {why}")]


def deployment_name(raw: object, deployment: App, keys: Keys, expected: str) -> list[Problem]:
    """Return a problem if a deployment has a name that its application does not know."""
    name = deployment.get("name")
    if name == expected:
        return []
    at = (*keys, "name")
    what = f"no deployment of this application is called {name!r}" if name else "is missing"
    return [Problem(at, where(raw, at), what, f"did you mean {expected!r}?")]


def _actor_options(raw: object, deployment: App, keys: Keys) -> Iterator[Problem]:
    if "ray_actor_options" in deployment:
        at = (*keys, "ray_actor_options")
        what = "would replace the resources that pitstop derives from args.device"
        yield Problem(at, where(raw, at), what, "remove it; use args.num_cpus, args.num_gpus and args.accelerator_type")


def _warmed_rows(app: App) -> object:
    return mapping(app, "args").get("max_batch_size", ModelConfig.model_fields["max_batch_size"].default)


def _ongoing(raw: object, app: App, deployment: App, keys: Keys) -> Iterator[Problem]:
    rows = _warmed_rows(app)
    ongoing = deployment.get("max_ongoing_requests")
    at = (*keys, "max_ongoing_requests")
    if ongoing is None:
        what = "is missing: Serve would allow 5 requests at a time, and batches would never fill"
    elif type(ongoing) is int and type(rows) is int and ongoing < rows:
        what = f"is {ongoing}, below max_batch_size ({rows}): batches would never fill"
    else:
        return
    yield Problem(at, where(raw, at), what, "set max_ongoing_requests: 1024 under the deployment named Model")


def _rows(raw: object, app: App, deployment: App, keys: Keys) -> Iterator[Problem]:
    warmed = _warmed_rows(app)
    wanted = mapping(deployment, "user_config").get("max_batch_size")
    if type(warmed) is int and type(wanted) is int and wanted > warmed:
        at = (*keys, "user_config", "max_batch_size")
        what = f"is {wanted}, above args.max_batch_size ({warmed}), the largest batch that is warmed"
        yield Problem(at, where(raw, at), what, f"lower it to {warmed}, or raise args.max_batch_size")


def _queue(raw: object, app: App, deployment: App, keys: Keys) -> Iterator[Problem]:
    user_config = mapping(deployment, "user_config")
    rows = user_config.get("max_batch_size") or _warmed_rows(app)
    bound = user_config.get("max_queue_size")
    if type(rows) is int and type(bound) is int and bound < rows:
        at = (*keys, "user_config", "max_queue_size")
        what = f"is {bound}, below max_batch_size ({rows}): no batch could fill"
        yield Problem(at, where(raw, at), what, f"raise it to {rows} or more, or lower max_batch_size")


def _tolerance(raw: object, app: App, keys: Keys) -> Iterator[Problem]:
    for key in (("tolerance",), ("batch_tolerance",), ("accept", "tolerance")):
        given, at = value_at(app, ("args", *key)), (*keys, *key)
        if isinstance(given, int | float) and given >= 1:
            what = f"is {given:g}: an answer that is wrong by its whole value would pass"
            yield Problem(at, where(raw, at), what, "write a number below 1, such as 0.01", "warning")


def _precision(raw: object, app: App, keys: Keys) -> Iterator[Problem]:
    args, at = mapping(app, "args"), (*keys, "precision")
    if args.get("precision") == AUTO and not args.get("accept"):
        what = "is auto, and nothing says which answers are near enough: it stays at fp32"
        yield Problem(at, where(raw, at), what, "add accept, such as accept: {agreement: 0.999}", "warning")
    elif args.get("precision") == "tf32" and args.get("device") == "cpu":
        what = "is tf32, which only a GPU has: on a CPU it is fp32"
        yield Problem(at, where(raw, at), what, "write fp32, or bf16 if the CPU computes in it", "warning")


def _accelerator(raw: object, app: App, at: Keys) -> Iterator[Problem]:
    given, known = mapping(app, "args").get("accelerator_type"), _accelerators()
    if isinstance(given, str) and known and given not in known:
        what = (
            f"is {given!r}, which the installed Ray does not know: if no node has that name, the model waits for ever"
        )
        yield Problem(at, where(raw, at), what, advise(given, known), "warning")


def _accelerators() -> set[str]:
    try:
        from ray.util.accelerators import accelerators
    except ImportError:
        return set()
    return {value for name, value in vars(accelerators).items() if name.isupper() and isinstance(value, str)}
