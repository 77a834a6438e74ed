"""Checks the environment variables of a Serve config.

The fast path works only where controller and replicas agree on it, and a misspelt variable is one that nobody reads.
"""

import importlib.util
import re
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from .problems import Keys, Problem, child, items, mapping, where
from .suggest import advise

FAST_PATH = (
    "RAY_SERVE_ENABLE_HA_PROXY",
    "RAY_SERVE_THROUGHPUT_OPTIMIZED",
    "RAY_SERVE_HAPROXY_NBTHREAD",
    "RAY_SERVE_HAPROXY_METRICS_ENABLED",
)
_CONTROLLER: Keys = ("controller_options", "runtime_env", "env_vars")
_HELP = "set it alike in controller_options and in every application; a YAML anchor keeps them one"


def environment(raw: Mapping[str, Any]) -> Iterator[Problem]:
    """Yield variables that are misspelt, no strings, or set on one side only."""
    places: list[Keys] = [("applications", i, "runtime_env", "env_vars") for i, _ in items(raw, "applications")]
    for keys in [_CONTROLLER, *places]:
        yield from _values(raw, keys)
    for keys in places:
        yield from _one_sided(raw, keys)


def _values(raw: object, keys: Keys) -> Iterator[Problem]:
    for name, value in mapping(raw, *keys).items():
        path = (*keys, name)
        if not isinstance(value, str):
            what = f"is {value!r}, which is no string; Ray takes only strings here"
            yield Problem(path, where(raw, path), what, f'put it in quotes: "{value}"')
        known = _known_to_ray()
        if known and str(name).startswith("RAY_SERVE_") and name not in known:
            best = advise(name, known)
            guess = best if best.startswith("did you mean") else "check its name in Ray's documentation"
            yield Problem(path, where(raw, path), "the installed Ray Serve reads no such variable", guess, "warning")


def _one_sided(raw: object, keys: Keys) -> Iterator[Problem]:
    controller, app = mapping(raw, *_CONTROLLER), mapping(raw, *keys)
    for name in FAST_PATH:
        here, there = child(app, name), child(controller, name)
        if here == there:
            continue
        if here is None:
            what = f"{name} is {there!r} for the controller, but not set here"
        elif there is None:
            what = f"{name} is {here!r} here, but not set in controller_options"
        else:
            what = f"{name} is {here!r} here, but {there!r} in controller_options"
        yield Problem(keys, where(raw, keys), what, _HELP)


@cache
def _known_to_ray() -> frozenset[str]:
    """Names in the source of Ray's constants: importing them would read the environment. Empty without Ray."""
    spec = importlib.util.find_spec("ray")
    if spec is None or spec.origin is None:
        return frozenset()
    folder = Path(spec.origin).parent / "serve" / "_private"
    sources = [folder / "constants.py", folder / "default_impl.py"]
    text = "".join(path.read_text(encoding="utf-8") for path in sources if path.is_file())
    return frozenset(re.findall(r"\bRAY_SERVE_[A-Z0-9_]+", text))
