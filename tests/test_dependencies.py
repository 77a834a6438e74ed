"""What the source imports, pyproject.toml declares: nothing is there only because something else happens to need it."""

import ast
import re
import sys
import tomllib
from collections.abc import Iterable, Iterator
from importlib.metadata import packages_distributions, requires
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.version import Version

PROJECT = Path(__file__).resolve().parents[1]
PACKAGES = ("configs", "models", "deployments", "pitstop")
SETTINGS = tomllib.loads((PROJECT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
EXTRAS = SETTINGS["optional-dependencies"]
DECLARED = [
    Requirement(each) for each in (*SETTINGS["dependencies"], *(each for extra in EXTRAS.values() for each in extra))
]
LOCKED = (PROJECT / "requirements.lock").read_text(encoding="utf-8").splitlines()


@pytest.mark.parametrize("package", PACKAGES)
def test_every_distribution_that_is_imported_is_declared(package: str) -> None:
    declared, owners = {canonical(each.name) for each in DECLARED}, packages_distributions()
    tops = {top for path in (PROJECT / package).rglob("*.py") for top in imported(path)}
    others = tops - sys.stdlib_module_names - set(PACKAGES)
    assert others
    assert [top for top in sorted(others) if not declared & set(map(canonical, owners.get(top, [])))] == []


def test_no_floor_is_below_the_one_that_ray_serve_sets() -> None:
    ray = [Requirement(each) for each in requires("ray") or []]
    theirs = floors(each for each in ray if each.marker is None or each.marker.evaluate({"extra": "serve"}))
    ours = floors(DECLARED)
    assert {"uvicorn", "starlette", "grpcio"} <= ours.keys() & theirs.keys()
    assert [name for name in ours.keys() & theirs.keys() if ours[name] < theirs[name]] == []


def test_every_dependency_is_in_the_lock_file() -> None:
    locked = {canonical(line.partition("==")[0]) for line in LOCKED}
    assert {canonical(each.name) for each in DECLARED} - {"pitstop"} <= locked


def canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def floors(requirements: Iterable[Requirement]) -> dict[str, Version]:
    """Return the lowest version that each requirement allows."""
    return {
        canonical(each.name): Version(part.version)
        for each in requirements
        for part in each.specifier
        if part.operator == ">="
    }


def imported(path: Path) -> Iterator[str]:
    """Yield the top package of each absolute import, also of those inside functions."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module.partition(".")[0]
