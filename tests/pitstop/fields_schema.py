"""Turns the lists of fields in fields/, written by hand, into a JSON schema per kind of manifest."""

from functools import cache
from pathlib import Path
from typing import Any

import yaml

_FIELDS = Path(__file__).with_name("fields")
_SCALARS = ("string", "integer", "boolean")


@cache
def shapes() -> dict[str, Any]:
    """Return every named shape of the four files."""
    found: dict[str, Any] = {}
    for path in sorted(_FIELDS.glob("*.yaml")):
        found |= yaml.safe_load(path.read_text(encoding="utf-8"))
    return found


def schema(shape: Any) -> dict[str, Any]:
    """Return the JSON schema of a shape, or of the name of one."""
    if isinstance(shape, list):
        return {"type": "array", "items": schema(shape[0])}
    if isinstance(shape, str):
        if shape in _SCALARS:
            return {"type": shape}
        if shape == "strings":
            return {"type": "object", "additionalProperties": {"type": "string"}}
        return schema(shapes()[shape])
    return {
        "type": "object",
        "properties": {key.rstrip("*"): schema(value) for key, value in shape.items()},
        "required": [key.rstrip("*") for key in shape if key.endswith("*")],
        "additionalProperties": False,
    }
