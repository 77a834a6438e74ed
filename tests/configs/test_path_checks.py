import hashlib
from collections.abc import Callable
from pathlib import Path

import pytest

from configs.problems import Problem
from tests.configs.conftest import assert_one_error

Lint = Callable[..., list[Problem]]
ARGS = "applications__1__args__"


def test_looking_for_a_callable_imports_nothing(changed: Lint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "lintme"
    package.mkdir()
    (package / "__init__.py").write_text("raise RuntimeError('imported')")
    (package / "net.py").write_text(
        "raise RuntimeError('imported')\ntry:\n    import x as Net\nexcept ImportError:\n    Other = 1"
    )
    monkeypatch.syspath_prepend(tmp_path)
    assert changed(**{ARGS + "source__factory": "lintme.net:Net"}) == []
    assert changed(**{ARGS + "source__factory": "lintme.net:Other"}) == []
    assert len(changed(**{ARGS + "source__factory": "lintme.net:Nothing"})) == 1


@pytest.mark.parametrize(
    "path, value, told",
    [
        (ARGS + "source__weights", "no/such.safetensors", ("source.weights", "no such file", "the project's root")),
        (
            ARGS + "source__factory",
            "models.zoo.digts:Digits",
            ("source.factory", "no module models.zoo.digts", "spelling"),
        ),
        (ARGS + "source__factory", "no_such_package.net:Net", ("source.factory", "no module", "check its spelling")),
        (
            ARGS + "source__factory",
            "models.zoo.digits:Digit",
            ("source.factory", "has no 'Digit'", "did you mean 'Digits'?"),
        ),
        (
            ARGS + "predict__encode",
            "models.zoo.digits_image:answr",
            ("predict.encode", "has no", "did you mean 'answer'?"),
        ),
        (ARGS + "backend", "models.zoo.nothing:f", ("args.backend", "there is no module", "models/zoo/")),
        (ARGS + "backend", "models.zoo.digits:faster", ("args.backend", "has no 'faster'", "Digits")),
        (ARGS + "preprocess", "models.zoo.nothing:f", ("args.preprocess", "there is no module", "models/zoo/")),
    ],
)
def test_what_a_config_points_at_and_is_not_there_is_named(
    changed: Lint, path: str, value: object, told: tuple[str, str, str]
) -> None:
    assert_one_error(changed(**{path: value}), *told)


NETS = """
import torch.nn as nn
from dataclasses import dataclass
from elsewhere import Base
class Plain(nn.Module):
    def __init__(self, width, depth=2, *, rate=0.1): ...
class Child(Plain): ...
class Empty(nn.Module): ...
class Takes(nn.Module):
    def __init__(self, width, **rest): ...
class Foreign(Base): ...
@dataclass
class Data:
    width: int
class Two(Plain, Base): ...
class Odd(nn.Module):
    if True:
        def __init__(self): ...
class New:
    def __new__(cls, **kwargs): ...
def make(width, /, depth, *more): ...
@dataclass
def wrapped(): ...
again = 1
def again(): ...
def imported(): ...
from elsewhere import imported
class Patched(nn.Module): ...
Patched.__init__ = make
from elsewhere import Module
class NotTorch(Module): ...
"""


@pytest.fixture
def nets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "lint_nets.py").write_text(NETS)
    monkeypatch.syspath_prepend(tmp_path)


@pytest.mark.usefixtures("nets")
@pytest.mark.parametrize(
    "name, kwargs, told",
    [
        ("Plain", {"widht": 3, "width": 4}, ("widht", "Plain takes no argument 'widht'", "did you mean 'width'?")),
        ("Child", {"dpeth": 3, "width": 4}, ("dpeth", "Child takes no argument 'dpeth'", "did you mean 'depth'?")),
        ("Plain", {"depth": 3}, ("kwargs", "Plain needs an argument 'width'", "add `width: …` to source.kwargs")),
        ("Empty", {"width": 3}, ("width", "Empty takes no argument 'width'", "remove it")),
        ("Takes", {"any": 3}, ("kwargs", "Takes needs an argument 'width'", "add `width: …` to source.kwargs")),
        ("Plain", {"self": 3, "width": 1}, ("self", "Plain takes no argument 'self'", "known here")),
    ],
)
def test_arguments_that_a_factory_does_not_take_or_lacks_are_told(
    changed: Lint, name: str, kwargs: dict[str, object], told: tuple[str, str, str]
) -> None:
    (problem,) = changed(**{ARGS + "source": {"factory": f"lint_nets:{name}", "kwargs": kwargs}})
    assert (problem.keys[-1], problem.what) == told[:2]
    assert told[2] in problem.help


@pytest.mark.usefixtures("nets")
@pytest.mark.parametrize(
    "name", ["Foreign", "Data", "Two", "Odd", "New", "wrapped", "again", "imported", "Patched", "NotTorch"]
)
def test_nothing_is_said_of_arguments_that_the_source_does_not_show(changed: Lint, name: str) -> None:
    assert changed(**{ARGS + "source": {"factory": f"lint_nets:{name}", "kwargs": {"any": 3}}}) == []


@pytest.mark.usefixtures("nets")
def test_arguments_that_a_factory_takes_are_left_alone(changed: Lint) -> None:
    for name, kwargs in (("Plain", {"width": 1, "rate": 2}), ("Takes", {"width": 1, "any": 2}), ("Empty", {})):
        assert changed(**{ARGS + "source": {"factory": f"lint_nets:{name}", "kwargs": kwargs}}) == []


@pytest.mark.usefixtures("nets")
@pytest.mark.parametrize("key", ["preprocess", "postprocess", "handler"])
def test_a_hook_that_needs_an_argument_is_told(changed: Lint, key: str) -> None:
    (problem,) = changed(**{ARGS + key: "lint_nets:Plain"})
    assert problem.what == f"Plain needs an argument 'width', but {key} is called without arguments"


@pytest.mark.parametrize(
    "text, fine",
    [
        ("class H: ...", False),
        ("class H:\n    def predict(self): ...", False),
        ("class H:\n    def preprocess(self, rows): ...", True),
        ("class H:\n    if True:\n        def postprocess(self, rows): ...", True),
        ("class H:\n    def __init__(self): self.postprocess = print", True),
        ("class H:\n    def __getattr__(self, name): ...", True),
        ("class H(Base): ...", True),
        ("class H: ...\nH.preprocess = print", True),
        ("def H(): ...", True),
    ],
)
def test_a_handler_that_would_never_be_called_is_told(
    changed: Lint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, fine: bool
) -> None:
    (tmp_path / "lint_handler.py").write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    said = [each.what for each in changed(**{ARGS + "handler": "lint_handler:H"})]
    assert said == ([] if fine else ["H has neither preprocess nor postprocess"])


def test_a_wrong_checksum_is_told_with_the_file_s_own(changed: Lint, tmp_path: Path) -> None:
    path = tmp_path / "weights.pt"
    path.write_bytes(b"weights")
    found = hashlib.sha256(b"weights").hexdigest()
    source = {"factory": "models.zoo.digits:Digits", "weights": str(path)}
    (problem,) = changed(**{ARGS + "source": {**source, "sha256": "0" * 64}})
    assert problem.keys[-1] == "sha256"
    assert "0" * 64 in problem.what
    assert found in problem.what
    assert changed(**{ARGS + "source": {**source, "sha256": found}}) == []


@pytest.mark.parametrize("backend", ["auto", "aoti", "models.zoo.digits:Digits"])
def test_a_backend_that_is_listed_or_there_is_no_problem(changed: Lint, backend: str) -> None:
    assert changed(**{ARGS + "backend": backend}) == []
