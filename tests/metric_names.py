"""The metrics that the code makes, read from its source, and the names of Ray Serve's own."""

import ast
import re
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

from deployments.metrics import prometheus
from pitstop.project import PROJECT


class Made(NamedTuple):
    """A metric; `kind` is Counter, Gauge or Histogram."""

    name: str
    kind: str
    labels: tuple[str, ...]


def made() -> list[Made]:
    """Return every metric that deployments/ makes through ray.serve.metrics."""
    found = []
    for path in sorted((PROJECT / "deployments").rglob("*.py")):
        found += [*_in(ast.parse(path.read_text(encoding="utf-8")))]
    assert found
    return found


def of_ray() -> set[str]:
    """Return the names that stand in the source of Ray Serve, without the prefix that Ray's exporter adds."""
    spec = find_spec("ray.serve")
    assert spec is not None
    assert spec.origin is not None
    files = (Path(spec.origin).parent / "_private").rglob("*.py")
    return {name for path in files for name in re.findall(r'"(serve_[a-z_]+)"', path.read_text(encoding="utf-8"))}


def _in(tree: ast.AST) -> Iterator[Made]:
    for node in ast.walk(tree):
        if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.args):
            continue
        name = node.args[0]
        if ast.unparse(node.func.value) == "metrics" and isinstance(name, ast.Constant):
            tags = next((each.value for each in node.keywords if each.arg == "tag_keys"), None)
            yield Made(str(name.value), node.func.attr, _labels(tags))


def _labels(tags: ast.expr | None) -> tuple[str, ...]:
    if tags is None:
        return ()
    if isinstance(tags, ast.Name):
        named: tuple[str, ...] = getattr(prometheus, tags.id)
        return named
    read: tuple[str, ...] = ast.literal_eval(tags)
    return read
