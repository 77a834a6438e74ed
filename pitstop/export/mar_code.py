"""Reads an archive's Python without running it: the network's class, what a handler overrides, imports of neighbours.

TorchServe puts the archive's folder on the import path. Here it becomes a package, so a file beside it is imported
relatively, and `import utils` is rewritten to `from . import utils`.
"""

import ast
from collections.abc import Collection
from pathlib import Path

from models.errors import ModelError


def network_class(path: Path) -> str:
    """Return the one class of a model file. TorchServe takes the only class that is defined there, and so does this."""
    classes = [node for node in _parse(path).body if isinstance(node, ast.ClassDef)]
    if len(classes) == 1:
        return classes[0].name
    # Helpers stand beside it more often than not; what none of the others builds on or uses is the network.
    free = [each.name for each in classes if not any(_uses(other, each.name) for other in classes if other is not each)]
    if len(free) == 1:
        return free[0]
    names = ", ".join(each.name for each in classes) or "no class"
    raise ModelError(
        f"{path.name}: defines {names}, and TorchServe wants exactly one class\n"
        "help: name what builds the network with --factory path/to/file.py:callable"
    )


def _uses(node: ast.AST, name: str) -> bool:
    return any(isinstance(each, ast.Name) and each.id == name for each in ast.walk(node))


def overridden(path: Path) -> tuple[list[str], list[str]]:
    """Return the base classes that a handler file names, and the methods and attributes that its classes define."""
    classes = [node for node in _parse(path).body if isinstance(node, ast.ClassDef)]
    bases = [ast.unparse(base).rpartition(".")[2] for each in classes for base in each.bases]
    defined: list[str] = []
    for each in classes:
        for node in each.body:
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                defined.append(node.name)
            elif isinstance(node, ast.Assign):
                defined += [target.id for target in node.targets if isinstance(target, ast.Name)]
    return bases, [name for name in defined if name != "__init__"]


def relative(path: Path, neighbours: Collection[str]) -> list[str]:
    """Rewrite a file's imports of its neighbours in place; return a line for each, changed or not."""
    text = path.read_text(encoding="utf-8")
    lines = text.splitlines(keepends=True)
    said = []
    for node in ast.walk(_parse(path)):
        new = _rewritten(node, neighbours)
        if new is None:
            continue
        assert isinstance(node, ast.Import | ast.ImportFrom)
        first = lines[node.lineno - 1]
        if new and node.lineno == node.end_lineno and first.strip() == ast.get_source_segment(text, node):
            lines[node.lineno - 1] = first.replace(first.strip(), new)
            said.append(f"{path.name}:{node.lineno}: `{first.strip()}` became `{new}`: the folder is a package here")
        else:
            said.append(f"{path.name}:{node.lineno}: imports a file beside it by its bare name: put a dot before it")
    path.write_text("".join(lines), encoding="utf-8")
    return said


def _rewritten(node: ast.AST, neighbours: Collection[str]) -> str | None:
    """Return the import as it should be, an empty text where only a person can say, or None where it is fine."""
    if isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
        if node.module.partition(".")[0] not in neighbours:
            return None
        return ast.unparse(ast.ImportFrom(module=node.module, names=node.names, level=1))
    if isinstance(node, ast.Import):
        ours = [alias for alias in node.names if alias.name.partition(".")[0] in neighbours]
        if not ours:
            return None
        whole = len(node.names) == 1 and "." not in ours[0].name
        return ast.unparse(ast.ImportFrom(module=None, names=node.names, level=1)) if whole else ""
    return None


def _parse(path: Path) -> ast.Module:
    try:
        return ast.parse(path.read_text(encoding="utf-8"), path.name)
    except (SyntaxError, ValueError) as error:
        line = f":{error.lineno}" if isinstance(error, SyntaxError) else ""
        raise ModelError(f"{path.name}{line}: is not Python that this version reads\nhelp: correct it") from error
