"""Checks Serve's own keys. Ray drops a misspelt key without a message, so every key is compared with Ray's classes.

The known keys come from the Ray that is installed, so this file cannot go stale.
"""

import copy
from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import BaseModel, ValidationError

from ..key_paths import entries
from ..key_places import advise_key
from ..problems import Keys, Problem, child, where
from .serve_values import refused


def unknown_keys(raw: Mapping[str, Any], schema: type[BaseModel]) -> Iterator[Problem]:
    """Yield the keys that Ray's classes do not have."""
    for path, known, _ in entries(raw, schema):
        *inside, key = path
        if key not in known:
            where_ = "a runtime_env" if "runtime_env" in inside else "Serve"
            what = f"{where_} has no such key" + (
                "" if "runtime_env" in inside else ", and would drop it without a message"
            )
            yield Problem(path, where(raw, path), what, advise_key(key, known, inside, _application(raw, path)))


def _application(raw: Mapping[str, Any], path: Keys) -> object:
    """Return the import_path of the application that a key path leads into, or None."""
    return child(child(child(raw, path[0]), path[1]), "import_path") if path[0] == "applications" else None


def refused_by_serve(raw: Mapping[str, Any], schema: type[BaseModel]) -> Iterator[Problem]:
    """Yield the errors of Ray's own validation."""
    try:
        schema.model_validate(copy.deepcopy(dict(raw)))
    except ValidationError as error:
        yield from refused(raw, (), error)
    except (ImportError, AttributeError) as error:  # Serve imports the policies and routers that a file names.
        what = f"names something that cannot be imported: {error}"
        yield Problem(("applications",), "applications", what, "correct the import path, or install its package")
