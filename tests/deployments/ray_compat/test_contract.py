"""The installed Ray and uvicorn have every private name of the tables, and nothing else in the tree touches one."""

import ast
import inspect
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from ray.serve._private import deployment_state

from deployments.ray_compat.names import Name, Part, problems
from deployments.ray_compat.table import PARTS
from tests.deployments.ray_compat.tested import TESTED

PROJECT = Path(__file__).resolve().parents[3]
OURS = ("configs", "models", "deployments", "pitstop", "benchmarks")
# The package itself, and the tests that make Ray's objects for it.
MAY = ("deployments/ray_compat", "tests/deployments/ray_compat")
NAMES = [(part, name) for part in (*PARTS, TESTED) for name in part.names]
STEPS = {step for _, name in NAMES for step in (*name.path.split("."), *name.takes)}
UNDERSCORED = {step for step in STEPS if step.startswith("_") and not step.startswith("__")}


@pytest.mark.parametrize("part, name", NAMES, ids=str)
def test_the_installed_packages_have_it_as_the_table_has_it(part: Part, name: Name) -> None:
    assert [*problems(Part(part.noun, part.lost, (name,)))] == []


@pytest.mark.parametrize("folder", [*OURS, "tests"])
def test_nothing_else_imports_or_names_private_parts(folder: str) -> None:
    found = [
        f"{path.relative_to(PROJECT)}:{line}: {what}"
        for path in sorted((PROJECT / folder).rglob("*.py"))
        if not str(path.relative_to(PROJECT)).startswith(MAY)
        for line, what in private_uses(ast.parse(path.read_text(encoding="utf-8")), is_test=folder == "tests")
    ]
    assert found == []


def private_uses(tree: ast.AST, is_test: bool) -> Iterator[tuple[int, str]]:
    """Yield imports of private modules and names, and underscored names of the tables on what is not `self`.

    A test may make objects that look like Ray's, and import uvicorn's modules.
    """
    for node in ast.walk(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            yield from ((node.lineno, name) for name in _imported(node) if _is_private(name, is_test))
        elif is_test:
            continue
        elif isinstance(node, ast.Attribute) and node.attr in UNDERSCORED and not _is_self(node.value):
            yield node.lineno, node.attr
        elif isinstance(node, ast.keyword) and node.arg in UNDERSCORED:
            yield node.value.lineno, str(node.arg)
        elif isinstance(node, ast.Constant) and node.value in UNDERSCORED:
            yield node.lineno, str(node.value)


def _imported(node: ast.Import | ast.ImportFrom) -> list[str]:
    if isinstance(node, ast.Import):
        return [each.name for each in node.names]
    return [] if node.level else [f"{node.module}.{each.name}" for each in node.names]


def _is_private(name: str, is_test: bool) -> bool:
    top, *steps = name.split(".")
    if top == "uvicorn":
        return not is_test and any(step.islower() for step in steps if step != "run")
    return top == "ray" and any(step.startswith("_") for step in steps)


def _is_self(value: ast.expr) -> bool:
    return isinstance(value, ast.Name) and value.id in ("self", "cls")


@pytest.mark.parametrize(
    "source, seen",
    [
        ("import ray.serve._private.proxy", True),
        ("from ray.serve._private import proxy", True),
        ("from ray.serve.context import _get_global_client", True),
        ("def f():\n    from uvicorn.config import HTTP_PROTOCOLS", True),
        ("handle.options(_by_reference=True)", True),
        ("replica._metrics_manager", True),
        ("getattr(handle, '_router')", True),
        ("self._event_loop", False),
        ("from ray import serve", False),
        ("from ray.serve.config import AutoscalingConfig", False),
        ("from uvicorn import Config, run", False),
    ],
)
def test_every_kind_of_use_is_seen(source: str, seen: bool) -> None:
    assert bool([*private_uses(ast.parse(source), is_test=False)]) is seen


def test_the_page_on_the_architecture_says_what_each_part_is_worth() -> None:
    page = (PROJECT / "docs" / "architecture.md").read_text(encoding="utf-8")
    assert [part.noun for part in PARTS if f"| {part.noun} | {part.lost} |" not in page] == []


def test_our_modules_import_where_every_name_is_gone() -> None:
    code = """
from importlib import import_module
from pathlib import Path
from deployments.ray_compat.names import CLASS, FUNCTION
from deployments.ray_compat.table import PARTS
names = [(import_module(name.module), name) for part in PARTS for name in part.names]
for module, name in names:
    if name.kind in (CLASS, FUNCTION) and "." not in name.path and "._" in str(name):
        vars(module).pop(name.path, None)
import uvicorn.config, uvicorn.protocols.http.httptools_impl as impl
del uvicorn.config.HTTP_PROTOCOLS, impl.HttpToolsProtocol, impl.RequestResponseCycle
for path in sorted(Path("deployments").rglob("*.py")):
    module = ".".join(path.with_suffix("").parts)
    if "stubs" not in module and not module.endswith("haproxy_manager"):
        import_module(module.removesuffix(".__init__"))
from deployments import haproxy, serve_accounting
haproxy.install()
print(len(serve_accounting.install()))
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=PROJECT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "1"


def test_serve_s_sentence_on_replicas_without_room_is_the_one_that_is_read() -> None:
    text = inspect.getsource(deployment_state)
    for part in (
        "replicas that ",
        "have taken more than {",
        "s to be scheduled. ",
        "Resources required for each replica",
    ):
        assert part in text
