"""`path/to/file.py:Name` in a config, and a user's package that has the name of one of ours: what the linter says."""

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from configs.code_files import import_path, local, module_names, shown
from configs.problems import Problem
from tests.configs.conftest import assert_one_error

Lint = Callable[..., list[Problem]]
FACTORY = "applications__1__args__source__factory"
NET = "from torch import nn\n\n\nclass Net(nn.Module):\n    def __init__(self, width=2): ...\n"


@pytest.fixture
def here(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A user's folder, which is the working directory, with a file that is on no import path."""
    monkeypatch.chdir(tmp_path)
    # A command that another test called has made the folder of its model an import path.
    others = str(tmp_path_factory.getbasetemp())
    monkeypatch.setattr(sys, "path", [each for each in sys.path if not each.startswith(others)])
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "net.py").write_text(NET)
    return tmp_path


@pytest.mark.parametrize(
    "text, said",
    [
        ("mine/net.txt:Net", "mine/net.txt is not a .py file\nhelp: write path/to/file.py:Net"),
        ("mine/net:Net", "mine/net is not a .py file"),
        ("mine/net.py", "names a file, but nothing in it\nhelp: add the class or the function: mine/net.py:Name"),
        ("mine/net.py:Net.make", "should be package.module:name or path/to/file.py:name"),
        ("mine.net", "should be package.module:name or path/to/file.py:name"),
        ("https://host/net.py:Net", "is a URL, and no code is loaded from a URL\nhelp: copy the file"),
    ],
)
def test_what_is_neither_a_module_nor_a_file_is_told(text: str, said: str) -> None:
    with pytest.raises(ValueError) as caught:  # noqa: PT011  # pydantic wants this very class; `said` tells it apart.
        import_path(text)
    assert said in str(caught.value)


@pytest.mark.usefixtures("here")
def test_a_file_and_its_arguments_are_checked_without_running_it(changed: Lint) -> None:
    Path("mine/net.py").write_text(NET + "raise RuntimeError\n")
    assert changed(**{FACTORY: "mine/net.py:Net"}) == []
    assert changed(**{FACTORY: str(Path("mine/net.py").absolute()) + ":Net"}) == []
    source = {"factory": "mine/net.py:Net", "kwargs": {"widht": 3}}
    (problem,) = changed(applications__1__args__source=source)
    assert (problem.what, problem.help) == ("Net takes no argument 'widht'", "did you mean 'width'?")


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize(
    "text, name, what, help_",
    [
        (None, "Net", "no such file", "in the working directory, then in the project's root"),
        (NET, "Nett", "mine/file.py has no 'Nett'", "did you mean 'Net'?"),
        ("", "Net", "mine/file.py has no 'Net'", "define it there"),
        ("import os\nclass Net(:\n", "Net", "mine/file.py has a syntax error on line 2: ", "correct mine/file.py"),
        ("import no_such\n" + NET, "Net", "mine/file.py, line 1: there is no module no_such", "install what it needs"),
        ("import net\n" + NET, "Net", "there is no module net", "write `from . import net` or `from .net import …`"),
        ("from .nett import x\n" + NET, "Net", "there is no module .nett", "check its spelling"),
        ("from . import nett\n" + NET, "Net", "there is no module .nett", "check its spelling"),
        ("from ..net import x\n" + NET, "Net", "there is no module ..net", "no folder above it"),
        ("from models.net import x\n" + NET, "Net", "models.net", "'models' is taken by a package of pitstop itself"),
    ],
)
def test_a_file_that_cannot_be_loaded_is_told(
    changed: Lint, text: str | None, name: str, what: str, help_: str
) -> None:
    if text is not None:
        Path("mine/file.py").write_text(text)
    assert_one_error(changed(**{FACTORY: f"mine/file.py:{name}"}), "source.factory", what, help_)


@pytest.mark.usefixtures("here")
def test_imports_that_may_be_left_out_and_those_of_neighbours_are_fine(changed: Lint) -> None:
    text = "from . import net\nfrom .net import Net as Base\ntry:\n    import no_such\nexcept ImportError:\n    pass\n"
    Path("mine/file.py").write_text(text + NET)
    assert changed(**{FACTORY: "mine/file.py:Net"}) == []


@pytest.mark.parametrize("key", ["preprocess", "postprocess", "handler", "predict__decode", "predict__encode"])
@pytest.mark.usefixtures("here")
def test_every_key_that_names_code_takes_a_file(changed: Lint, key: str) -> None:
    assert changed(**{f"applications__1__args__{key}": "mine/net.py:Net"}) == []
    assert_one_error(changed(**{f"applications__1__args__{key}": "mine/not.py:Net"}), "", "no such file", "looked up")


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize("package", ["models", "configs", "deployments", "benchmarks"])
def test_a_package_of_the_users_with_the_name_of_one_of_ours_is_told_the_way_out(changed: Lint, package: str) -> None:
    what = f"the name {package!r} is taken by a package of pitstop itself"
    place = f"path/to/{package}/net.py:Net"
    assert_one_error(changed(**{FACTORY: f"{package}.net:Net"}), "source.factory", what, place)
    assert_one_error(changed(**{FACTORY: f"{package}:Net"}), "source.factory", what, f"to/{package}/__init__.py:Net")
    Path(package).mkdir()
    Path(package, "net.py").write_text(NET)
    assert_one_error(changed(**{FACTORY: f"{package}.net:Net"}), "factory", what, f"the module: {package}/net.py:Net")
    assert changed(**{FACTORY: f"{package}/net.py:Net"}) == []


def test_files_of_one_name_in_two_folders_have_other_names_as_modules_and_a_file_always_the_same(here: Path) -> None:
    one, other, odd = here / "a" / "net.py", here / "b" / "net.py", here / "a" / "my-net.v2.py"
    assert module_names(one) == module_names(one)
    assert module_names(one) != module_names(other)
    assert module_names(odd)[0] == module_names(one)[0]
    assert all(part.isidentifier() for file in (one, odd) for part in module_names(file))
    assert module_names(odd) != module_names(here / "a" / "my_net_v2.py")
    assert (shown(".".join(module_names(one))), shown("models.zoo.digits")) == ("net", "models.zoo.digits")


@pytest.mark.parametrize("location", ["gone.py", f"{'long' * 100}.py", "~no-such-user/net.py", "a\0.py"])
def test_what_is_no_file_is_none(location: str) -> None:
    assert local(location) is None


@pytest.mark.parametrize("package", ["models", "configs", "deployments"])
def test_a_package_in_this_folder_that_hides_one_of_ours_from_a_start_is_a_warning(
    changed: Lint, here: Path, package: str
) -> None:
    (here / package).mkdir()
    assert changed() == []
    (here / package / "__init__.py").write_text("")
    (problem,) = changed()
    assert problem.severity == "warning"
    assert f"{here / package}: the name {package!r} is taken by a package of pitstop itself" in problem.what
    assert "start `serve run` in the project's root" in problem.help


@pytest.mark.parametrize("packages", [(), ("parts",), ("parts", "parts/sub")])
def test_a_module_is_found_whichever_of_its_folders_are_packages(
    here: Path, changed: Lint, packages: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    (here / "parts" / "sub").mkdir(parents=True)
    (here / "parts" / "sub" / "net.py").write_text(NET)
    for each in packages:
        (here / each / "__init__.py").touch()
    # Not syspath_prepend: it would put back the path that `here` has made.
    monkeypatch.setattr(sys, "path", [str(here), *sys.path])
    assert changed(**{FACTORY: "parts.sub.net:Net"}) == []
    assert "parts" not in sys.modules
