"""Reads the flags that stand for lines of YAML: --input, --output, --arg and --lengths.

`image:UINT8:-1,1,8,8` is a tensor; a fourth part, `ids:INT64:-1,-1:0..30521`, bounds the values that a probe may draw.
"""

from collections.abc import Sequence

import yaml
from pydantic import ValidationError

from configs.schema import OutputConfig, TensorConfig
from models.errors import ArgumentsError, ModelError

_FORM = "NAME:DATATYPE:SHAPE"
_EXAMPLE = "image:UINT8:-1,1,8,8"


def tensors(flag: str, texts: Sequence[str]) -> tuple[TensorConfig, ...]:
    """Return one tensor for each use of `flag`."""
    found = tuple(_tensor(flag, text) for text in texts)
    names = [tensor.name for tensor in found]
    if len(set(names)) < len(names):
        raise ModelError(f"{flag}: two tensors have one name: {names}\nhelp: give each its own")
    return found


def outputs(texts: Sequence[str]) -> tuple[OutputConfig, ...]:
    """Return one output for each `--output`."""
    return tuple(OutputConfig.model_validate(each.model_dump()) for each in tensors("--output", texts))


def kwargs(texts: Sequence[str], flag: str = "--arg") -> dict[str, object]:
    """Return `num_classes=10` and the like as a mapping; values are read as YAML reads them."""
    found: dict[str, object] = {}
    for text in texts:
        key, equals, value = text.partition("=")
        if not equals or not key.isidentifier():
            raise ModelError(f"{flag} {text!r}: is not NAME=VALUE\nhelp: write it like {flag} num_classes=10")
        try:
            found[key] = yaml.safe_load(value)
        except yaml.YAMLError as error:
            raise ModelError(f"{flag} {text!r}: its value is not YAML\nhelp: quote it as YAML would want") from error
    return found


def said(error: ModelError) -> str:
    """Return an error's text for a user who gives a factory's arguments with --arg."""
    return error.given_in("--arg NAME=VALUE") if isinstance(error, ArgumentsError) else str(error)


def lengths(text: str | None) -> tuple[int, ...]:
    """Return `16,32,64` as numbers, rising."""
    if text is None:
        return ()
    found = _numbers("--lengths", text, "16,32,64")
    if list(found) != sorted(set(found)) or found[0] < 1:
        raise ModelError(f"--lengths {text}: must be positive and rising\nhelp: write it like --lengths 16,32,64")
    return found


def _tensor(flag: str, text: str) -> TensorConfig:
    parts = text.split(":")
    if len(parts) not in (3, 4) or not all(parts):
        raise ModelError(f"{flag} {text!r}: is not {_FORM}\nhelp: write it like {flag} {_EXAMPLE}")
    name, datatype, shape = parts[:3]
    bounds = _bounds(flag, text, parts[3]) if len(parts) == 4 else {}
    data = {"name": name, "datatype": datatype.upper(), "shape": _numbers(f"{flag} {text!r}", shape, "-1,1,8,8")}
    try:
        return TensorConfig.model_validate({**data, **bounds})
    except ValidationError as error:
        what = str(error.errors(include_url=False)[0]["msg"]).removeprefix("Value error, ")
        raise ModelError(f"{flag} {text!r}: {what}\nhelp: write it like {flag} {_EXAMPLE}") from error


def _bounds(flag: str, text: str, bounds: str) -> dict[str, float]:
    low, dots, high = bounds.partition("..")
    try:
        if dots:
            return {"low": float(low), "high": float(high)}
    except ValueError:
        pass
    raise ModelError(f"{flag} {text!r}: bounds {bounds!r} are not LOW..HIGH\nhelp: write them like 0..30521")


def _numbers(where: str, text: str, example: str) -> tuple[int, ...]:
    try:
        return tuple(int(part) for part in text.strip("[]").split(","))
    except ValueError as error:
        raise ModelError(f"{where}: {text!r} is not a list of whole numbers\nhelp: like {example}") from error
