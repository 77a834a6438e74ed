"""Code of a file that is on no import path: it loads once, imports its neighbours, and a start says what is wrong."""

import pickle
import sys
from pathlib import Path
from types import FunctionType

import pytest
import torch
from torch import nn

from configs.schema import SourceConfig
from models.compile.identity import identity
from models.errors import ModelError
from models.sources.allowlist import VARIABLE
from models.sources.files import fetch
from models.sources.hooks import make_hook
from models.sources.resolve import resolve
from models.sources.source import load

NET = """
from torch import Tensor, nn


class Net(nn.Module):
    def __init__(self, scale: float = {scale}) -> None:
        super().__init__()
        self.scale = scale

    def forward(self, x: Tensor) -> Tensor:
        return x * self.scale


def net() -> Net:
    return Net()
"""


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A user's folder, which is the working directory, with two files of one name."""
    monkeypatch.chdir(tmp_path)
    for folder, scale in (("two", 2.0), ("three", 3.0)):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "net.py").write_text(NET.format(scale=scale))
    return tmp_path


def written(text: str, name: str = "file.py") -> str:
    Path(name).write_text(text)
    return f"{name}:Net"


def answer(factory: str) -> float:
    return float(load(SourceConfig(factory=factory))(torch.ones(1)))


def test_two_models_of_files_of_the_same_name_in_two_folders_are_two() -> None:
    assert [answer("two/net.py:Net"), answer("three/net.py:Net"), answer("two/net.py:Net")] == [2, 3, 2]


def test_a_file_is_loaded_once_however_its_path_is_written(here: Path) -> None:
    (here / "link.py").symlink_to(here / "two" / "net.py")
    ways = ("two/net.py", "three/../two/net.py", f"{here}/two/net.py", "link.py")
    assert len({resolve(f"{way}:Net") for way in ways}) == 1


def test_its_classes_pickle_are_scripted_and_show_their_source() -> None:
    made = load(SourceConfig(factory="two/net.py:Net"))
    again = pickle.loads(pickle.dumps(made))
    assert type(again) is type(made)
    scripted = torch.jit.script(made)
    assert float(scripted(torch.ones(1))) == 2
    assert type(made).__module__ in sys.modules


def test_nothing_of_the_folder_is_on_an_import_path_or_hides_another_module(here: Path) -> None:
    before, ours = list(sys.path), sys.modules["models"]
    (here / "two" / "models.py").write_text("raise RuntimeError('a neighbour that nobody names')\n")
    assert answer("two/net.py:Net") == 2
    assert sys.path == before
    assert sys.modules["models"] is ours
    assert "net" not in sys.modules


def test_a_file_imports_its_neighbours_with_a_dot(here: Path) -> None:
    (here / "two" / "double.py").write_text("from .net import Net as Base\n\n\nclass Net(Base):\n    pass\n")
    assert answer("two/double.py:Net") == 2
    assert issubclass(resolve("two/double.py:Net"), resolve("two/net.py:Net"))  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["my-net.v2.py", "__init__.py"])
def test_a_name_that_no_import_could_have_is_fine(name: str) -> None:
    assert answer(written(NET.format(scale=5.0), name)) == 5


def test_hooks_come_from_files_too() -> None:
    hook = make_hook("preprocess", "two/net.py:net")
    assert isinstance(hook and hook.function, nn.Module)
    assert isinstance(resolve("two/net.py:net"), FunctionType)


@pytest.mark.parametrize(
    "text, said",
    [
        ("", "file.py has no 'Net'\nhelp: check the name after the colon"),
        ("class Nett: ...\n", "file.py has no 'Net'\nhelp: did you mean 'Nett'?"),
        ("import os\nclass Net(:\n", "/file.py has a syntax error on line 2: invalid syntax\nhelp: correct it there"),
        (
            "1 / 0\n",
            "the import of file.py raised ZeroDivisionError: division by zero (file.py, line 1)\nhelp: correct",
        ),
        (
            "import no_such\n",
            "an import in it failed: ModuleNotFoundError: No module named 'no_such' (file.py, line 1)\nhelp: install",
        ),
        ("\nimport helper\n", "No module named 'helper' (file.py, line 2)\nhelp: "),
        ("import helper\n", " is on no import path: write `from . import helper` or `from .helper import …`, or add"),
        ("from .gone import x\n", "No module named '.gone' (file.py, line 1)\nhelp: put it into "),
        (
            "from . import gone\n",
            "cannot import name 'gone' from '.' (unknown location) (file.py, line 1)\nhelp: put it",
        ),
        ("from .helper import y\n", "cannot import name 'y' from '.helper' ("),
        ("from ..two import net\n", "beyond top-level package (file.py, line 1)\nhelp: a file may import those of its"),
        ("from models.net import x\n", "\nhelp: the name 'models' is taken by a package of pitstop itself: rename"),
        ("from models.helper import x\n", "taken by a package of pitstop itself: write `from .helper import …`"),
    ],
)
def test_a_file_that_cannot_be_loaded_is_one_sentence_and_its_help(text: str, said: str) -> None:
    Path("helper.py").write_text("")
    target = written(text)
    for _ in range(2):  # A file that failed is not taken for loaded.
        with pytest.raises(ModelError) as caught:
            resolve(target)
        assert str(caught.value).startswith("file.py:Net: ")
        assert said in str(caught.value)
        assert len(str(caught.value).splitlines()) == 2


@pytest.mark.parametrize(
    "line, said",
    [
        ("import helper", "is on no import path: write `from . import helper` or `from .helper import …`, or add"),
        (
            "from .gone import x",
            "raised ModuleNotFoundError: No module named '.gone' (file.py, line 2)\nhelp: put it into",
        ),
        ("import no_such_thing", "(file.py, line 2)\nhelp: install what it needs where `serve run` starts"),
        ("from ..two import net", "(file.py, line 2)\nhelp: a file may import those of its own folder, with one dot"),
    ],
)
def test_an_import_in_a_function_that_fails_is_told_as_one_at_the_top(line: str, said: str) -> None:
    Path("helper.py").write_text("")
    target = written(f"def Net():\n    {line}\n")
    with pytest.raises(ModelError) as of_factory:
        load(SourceConfig(factory=target))
    with pytest.raises(ModelError) as of_hook:
        make_hook("postprocess", target)
    for caught in (of_factory, of_hook):
        assert said in str(caught.value)
        assert len(str(caught.value).splitlines()) == 2


def test_a_directory_is_told_as_one(here: Path) -> None:
    with pytest.raises(ModelError, match=r"two: is a directory\nhelp: name a file in it"):
        fetch(str(here / "two"))


def test_a_file_that_is_not_there_says_where_it_was_looked_up() -> None:
    with pytest.raises(ModelError, match=r"gone\.py: no such file\nhelp: paths are looked up in the working directory"):
        resolve("gone.py:Net")


@pytest.mark.parametrize("package", ["models", "configs", "deployments", "benchmarks"])
def test_a_package_of_the_users_with_the_name_of_one_of_ours_is_told_the_way_out(package: str) -> None:
    said = (
        rf"the name '{package}' is taken by a package of pitstop itself\nhelp: name the file in place of the module: "
    )
    with pytest.raises(ModelError, match=rf"{said}path/to/{package}/net\.py:Net"):
        resolve(f"{package}.net:Net")
    with pytest.raises(ModelError, match=rf"{said}path/to/{package}/__init__\.py:Net"):
        resolve(f"{package}:Net")
    Path(package).mkdir()
    written(NET.format(scale=7.0), f"{package}/net.py")
    with pytest.raises(ModelError, match=rf"{said}{package}/net\.py:Net"):
        resolve(f"{package}.net:Net")
    assert answer(f"{package}/net.py:Net") == 7


def test_code_comes_from_where_pitstop_sources_allows(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, f"{here}/two")
    (here / "two" / "link.py").symlink_to(here / "three" / "net.py")
    assert answer("two/net.py:Net") == 2
    for way in ("three/net.py", "two/../three/net.py", "two/link.py"):
        with pytest.raises(ModelError, match=f"that {VARIABLE} allows"):
            resolve(f"{way}:Net")


def test_the_key_of_what_is_compiled_has_the_code_of_a_file_and_of_its_neighbours(here: Path) -> None:
    source = SourceConfig(factory="two/file.py:Net")

    def key_with(net: str, helper: str) -> str | None:
        (here / "two" / "file.py").write_text(f"from .helping import times\n{net}")
        (here / "two" / "helping.py").write_text(helper)
        for name in [name for name in sys.modules if name.endswith((".file", ".helping"))]:
            del sys.modules[name]
        return identity(load(source), source)

    helper = "def times(x, scale):\n    return x * scale\n"
    net = NET.format(scale=2.0).replace("x * self.scale", "times(x, self.scale)")
    key = key_with(net, helper)
    assert key is not None
    assert key_with(net, helper) == key
    assert key_with(f"{net}\n# changed\n", helper) != key
    assert key_with(net, f"{helper}\n# changed\n") != key
