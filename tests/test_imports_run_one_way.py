"""configs <- models <- deployments; pitstop may use configs, models, and parts of deployments without Ray and torch."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[1]

ANYWHERE = {
    "configs": {"models", "deployments", "pitstop"},
    "models": {"deployments", "pitstop", "ray"},
    "deployments": {"pitstop"},
    "pitstop": {"deployments"},
}
# Parts of deployments without Ray and torch: pitstop may use them.
PURE = ("deployments.http_client", "deployments.stubs")
# The server's own queue and policy, which the simulations run too: pitstop may use them.
POLICY = ("deployments.batching.fifo", "deployments.batching.grouping", "deployments.batching.queue")
AT_MODULE_LEVEL = {"configs": {"torch", "ray"}}


@pytest.mark.parametrize("package", sorted(ANYWHERE))
def test_no_package_imports_against_the_current(package: str) -> None:
    files = sorted((PROJECT / package).rglob("*.py"))
    assert files
    late = ANYWHERE[package]
    early = late | AT_MODULE_LEVEL.get(package, set())
    wrong = [
        f"{path.relative_to(PROJECT)}:{line} imports {name}"
        for path in files
        for name, line, nested in imported(
            ast.parse(path.read_text(encoding="utf-8"), str(path)), path.relative_to(PROJECT)
        )
        if name.partition(".")[0] in (late if nested else early)
        if not (package == "pitstop" and name.startswith((*PURE, *POLICY)))
    ]
    assert wrong == []


def test_no_module_imports_itself_in_a_circle() -> None:
    paths = [path for package in ANYWHERE for path in sorted((PROJECT / package).rglob("*.py"))]
    dotted = (".".join(path.relative_to(PROJECT).with_suffix("").parts) for path in paths)
    named = dict(zip((name.removesuffix(".__init__") for name in dotted), paths, strict=True))
    graph = {name: {each for each in needed(path) if each in named and each != name} for name, path in named.items()}
    TopologicalSorter(graph).prepare()


@pytest.mark.parametrize("package", ["models", "deployments"])
def test_no_part_imports_itself_in_a_circle(package: str) -> None:
    """A part is a folder of a package, or a file beside the folders; what a function imports counts too."""
    parts: dict[str, set[str]] = {}
    for path in sorted((PROJECT / package).rglob("*.py")):
        part = path.relative_to(PROJECT / package).parts[0].removesuffix(".py")
        others = {name.split(".")[1] for name in needed(path, nested=True) if name.startswith(f"{package}.")}
        parts.setdefault(part, set()).update(others - {part})
    assert len(parts) > 5
    TopologicalSorter(parts).prepare()


def needed(path: Path, nested: bool = False) -> Iterator[str]:
    """Yield what a file imports, except for types: modules, and the names imported from modules.

    `nested`: also yield what is imported only when a function runs.
    """
    for node in ast.parse(path.read_text(encoding="utf-8"), str(path)).body:
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            continue
        for name, _, late in imported(ast.Module([node], []), path.relative_to(PROJECT)):
            if nested or not late:
                yield name
                yield from (f"{name}.{alias.name}" for alias in getattr(node, "names", ()))


@pytest.mark.parametrize("part", PURE)
def test_a_part_for_pitstop_knows_neither_ray_nor_torch_nor_the_rest_of_deployments(part: str) -> None:
    files = sorted((PROJECT / part.replace(".", "/")).glob("*.py"))
    assert files
    code = "".join(f"import {part}.{path.stem}\n" for path in files) + "import sys; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=PROJECT, capture_output=True, text=True, check=True)
    others = {"configs", "models", "ray", "torch"}
    wrong = [each for each in done.stdout.split() if each in others or each.startswith("deployments.")]
    assert [each for each in wrong if not each.startswith(part)] == []


def test_the_policy_and_the_simulation_of_it_import_neither_ray_nor_torch() -> None:
    code = "".join(f"import {name}\n" for name in (*POLICY, "pitstop.plan.simulate"))
    code += "import sys; print([name for name in ('ray', 'torch') if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], cwd=PROJECT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_what_builds_an_application_imports_no_torch() -> None:
    """It reads the YAML's args alone, and torch takes long to import."""
    named = ("app", "ingress", "serve_accounting", "model", "root", "grpc.service")
    code = "".join(f"import deployments.{name}\n" for name in named) + "import sys; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=PROJECT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


@pytest.mark.parametrize(
    "source, expected",
    [
        ("import ray.serve", [("ray.serve", 1, False)]),
        ("from models.zoo import x", [("models.zoo", 1, False)]),
        ("def f():\n    import torch", [("torch", 2, True)]),
        ("if True:\n    import torch", [("torch", 2, False)]),
        ("from ..x import y", [("models.x", 1, False)]),
        ("from ...deployments import y", [("deployments", 1, False)]),
        ("from ... import deployments", [("deployments", 1, False)]),
    ],
)
def test_every_form_of_import_is_seen(source: str, expected: list[tuple[str, int, bool]]) -> None:
    assert list(imported(ast.parse(source), Path("models/zoo/net.py"))) == expected


def imported(node: ast.AST, path: Path, nested: bool = False) -> Iterator[tuple[str, int, bool]]:
    """Yield the module of each import, its line, and whether it happens only when a function runs."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import):
            yield from ((alias.name, child.lineno, nested) for alias in child.names)
        elif isinstance(child, ast.ImportFrom):
            base = path.parent.parts[: len(path.parent.parts) - child.level + 1] if child.level else ()
            names = [child.module] if child.module else [alias.name for alias in child.names]
            yield from ((".".join([*base, name]), child.lineno, nested) for name in names)
        inside = nested or isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        yield from imported(child, path, inside)
