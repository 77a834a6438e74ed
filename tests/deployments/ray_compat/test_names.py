"""How a name differs from its table: gone, of another kind, with other parameters, without a field."""

from types import ModuleType
from typing import Any

import pytest

from deployments.ray_compat.names import Part, classes, fields, functions, problems, values

MODULE = "names_of_a_test"


class Base:
    declared: int

    def __init__(self) -> None:
        self.inherited = 1


class Kept(Base):
    @property
    def computed(self) -> int:
        return 1

    async def later(self) -> None:
        self.set_later = self.only_read  # type: ignore[attr-defined]


def wanted(first: int, second: int = 0, *, flag: bool = False, **others: Any) -> None: ...


@pytest.fixture(autouse=True)
def module(monkeypatch: pytest.MonkeyPatch) -> None:
    made = ModuleType(MODULE)
    vars(made).update(Kept=Kept, wanted=wanted, table={"auto": "x"}, number=1)
    monkeypatch.setitem(__import__("sys").modules, MODULE, made)


def found(*names: Any) -> list[str]:
    return [*problems(Part("a part", "all is lost", names))]


@pytest.mark.parametrize("takes", ["first", "first second", "first flag", "first second flag", "...", "first ..."])
def test_a_function_that_can_be_called_so_is_as_expected(takes: str) -> None:
    assert found(*functions(MODULE, {"wanted": takes})) == []


@pytest.mark.parametrize("takes", ["", "second", "second first", "first third"])
def test_a_function_that_cannot_be_called_so_takes_other_parameters(takes: str) -> None:
    [problem] = found(*functions(MODULE, {"wanted": takes}))
    assert problem.startswith(f"{MODULE}.wanted takes other parameters")


@pytest.mark.parametrize("field", ["declared", "inherited", "computed", "set_later", "later"])
def test_a_field_is_found_wherever_its_class_makes_it(field: str) -> None:
    assert found(*fields(MODULE, "Kept", field)) == []


@pytest.mark.parametrize("field", ["only_read", "neither"])
def test_a_field_that_no_method_sets_is_missing(field: str) -> None:
    assert found(*fields(MODULE, "Kept", field)) == [f"{MODULE}.Kept.{field} is missing (AttributeError)"]


@pytest.mark.parametrize(
    "names, problem",
    [
        (values(MODULE, "table.auto number"), []),
        (values(MODULE, "table.other"), [f"{MODULE}.table.other is missing (KeyError)"]),
        (values(MODULE, "gone"), [f"{MODULE}.gone is missing (AttributeError)"]),
        (values("no_such_module", "gone"), ["no_such_module.gone is missing (ModuleNotFoundError)"]),
        (classes(MODULE, {"wanted": "first"}), [f"{MODULE}.wanted is no class"]),
        (functions(MODULE, {"number": ""}), [f"{MODULE}.number is no function"]),
    ],
)
def test_what_is_gone_or_of_another_kind_is_named(names: Any, problem: list[str]) -> None:
    assert found(*names) == problem
