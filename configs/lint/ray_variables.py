"""The environment variables that the installed Ray Serve reads, and their types.

Parsed from the source of Ray's constants, because importing those would read the environment. Empty without Ray.
"""

import ast
import importlib.util
import re
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path

# Ray treats an empty value as unset.
_MAY_BE_EMPTY = "RAY_SERVE_HAPROXY_TIMEOUT_SERVER_S"


@cache
def known() -> frozenset[str]:
    """Return every name in the source."""
    return frozenset(re.findall(r"\bRAY_SERVE_[A-Z0-9_]+", _source()))


def unreadable(name: str, value: str) -> str:
    """Return the kind of number that Ray expects, if the value is not one; else an empty string."""
    reader = _readers().get(name)
    if reader is None or (value == "" and name == _MAY_BE_EMPTY):
        return ""
    whole = "int" in reader
    kind = "a whole number in digits" if whole else "a number"
    if whole and not re.fullmatch("-?[0-9]+", value):
        return kind
    try:
        number = float(value)
    except ValueError:
        return kind
    if reader.endswith("_positive"):
        return "" if number > 0 else f"{kind} above 0"
    # The variables that Ray reads with int() and float() are ports, counts and times.
    if reader.endswith("_non_negative") or not reader.startswith("get_env"):
        return "" if number >= 0 else f"{kind}, 0 or above"
    return ""


@cache
def _readers() -> Mapping[str, str]:
    """Return what reads each number: int, float, or one of Ray's own functions, such as get_env_int_positive."""
    return dict(_reads(ast.parse(_source())))


def _reads(tree: ast.AST) -> Iterator[tuple[str, str]]:
    for call in ast.walk(tree):
        if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Name) or not call.args:
            continue
        reader, read = call.func.id, call.args[0]
        if reader in ("int", "float") and isinstance(read, ast.Call) and read.args:
            read = read.args[0]
        elif not reader.startswith(("get_env_int", "get_env_float")):
            continue
        if isinstance(read, ast.Constant) and str(read.value).startswith("RAY_SERVE_"):
            yield str(read.value), reader


@cache
def _source() -> str:
    spec = importlib.util.find_spec("ray")
    if spec is None or spec.origin is None:
        return ""
    folder = Path(spec.origin).parent / "serve" / "_private"
    sources = [folder / "constants.py", folder / "default_impl.py"]
    return "\n".join(path.read_text(encoding="utf-8") for path in sources if path.is_file())
