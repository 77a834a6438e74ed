"""The code behind a class is its file and whatever the user's own files import from there, however they write it."""

import importlib
import os
import subprocess
import sys
import sysconfig
import time
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

import pytest

from configs.code_files import PROJECT
from models.compile import imports
from models.compile.imports import code_behind
from models.sources.resolve import module_of, resolve

NET = "class Net:\n    def forward(self, x):\n        {line}\n        return x\n"


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder on the import path, whose modules are forgotten after the test."""
    monkeypatch.syspath_prepend(str(tmp_path))
    before = {*sys.modules}
    yield tmp_path
    for name in {*sys.modules} - before:
        if str(getattr(sys.modules[name], "__file__", None) or tmp_path).startswith(str(tmp_path)):
            del sys.modules[name]


def write(folder: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    importlib.invalidate_caches()


def behind(target: str = "net:Net") -> list[bytes]:
    return code_behind([resolve(target)])


# How net.py imports, with what else is there; far.py, or pkg/far.py, is what changes.
FORMS: dict[str, dict[str, str]] = {
    "import a": {"net.py": "import far\n" + NET.format(line="")},
    "import a as b": {"net.py": "import far as near\n" + NET.format(line="")},
    "from a import b": {"net.py": "from far import f\n" + NET.format(line="")},
    "two away": {"net.py": "import near\n" + NET.format(line=""), "near.py": "import far\n"},
    "in a function": {"net.py": NET.format(line="import far")},
    "in a function, two away": {
        "net.py": NET.format(line="from near import f"),
        "near.py": "def f():\n    import far\n",
    },
    "in a branch that does not run": {"net.py": "if 0:\n    import far\n" + NET.format(line="")},
    "in a circle": {"net.py": "import near\n" + NET.format(line=""), "near.py": "import net\nimport far\n"},
    "import a.b": {"net.py": NET.format(line="import pkg.far"), "pkg/__init__.py": ""},
    "from a import module": {"net.py": NET.format(line="from pkg import far"), "pkg/__init__.py": ""},
    "from a.b import name": {"net.py": NET.format(line="from pkg.far import f"), "pkg/__init__.py": ""},
    "a package without a file": {"net.py": NET.format(line="from pkg.far import f")},
    "two without a file": {"net.py": NET.format(line="import pkg.sub.far")},
    "by the package around": {"net.py": NET.format(line="import pkg.other"), "pkg/__init__.py": "from . import far"},
    "from . import a": {"pkg/net.py": NET.format(line="from . import far"), "pkg/__init__.py": ""},
    "from .a import b": {"pkg/net.py": NET.format(line="from .far import f"), "pkg/__init__.py": ""},
    "from .. import a": {"pkg/sub/net.py": NET.format(line="from .. import far"), "pkg/__init__.py": ""},
    "from ..a import b": {"pkg/sub/net.py": NET.format(line="from ..far import f"), "pkg/__init__.py": ""},
    "from ..a.b import c": {"pkg/sub/net.py": NET.format(line="from ..sub.far import f"), "pkg/__init__.py": ""},
}


@pytest.mark.parametrize("form", FORMS)
def test_a_change_of_what_is_imported_is_seen_in_every_form_of_import(form: str, here: Path) -> None:
    files = FORMS[form]
    in_package = any("pkg" in text for text in (*files, *files.values()))
    far = "pkg/sub/far.py" if "sub.far" in str(files) else "pkg/far.py" if in_package else "far.py"
    write(here, {"far.py": "def f(): ...\n", "pkg/other.py": "", **files, far: "def f(): ...\n"})
    [net] = [name for name in files if name.endswith("net.py")]
    target = f"{net[:-3].replace('/', '.')}:Net"
    before = behind(target)
    assert behind(target) == before
    write(here, {far: "def f(): return 1\n"})
    assert behind(target) != before


def test_what_is_not_imported_changes_nothing(here: Path) -> None:
    write(here, {"net.py": "import near\n" + NET.format(line=""), "near.py": "", "far.py": "", "pkg/__init__.py": ""})
    before = behind()
    write(here, {"far.py": "changed = 1\n", "pkg/__init__.py": "changed = 1\n"})
    assert behind() == before


def test_two_modules_that_change_places_are_a_change(here: Path) -> None:
    write(here, {"net.py": NET.format(line="import one, two"), "one.py": "a = 1\n", "two.py": "a = 2\n"})
    before = behind()
    write(here, {"one.py": "a = 2\n", "two.py": "a = 1\n"})
    assert behind() != before


def test_a_file_of_no_import_path_is_followed_to_its_neighbours(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(here)
    found = []
    for folder, limit in (("a", 1), ("b", 1), ("c", 2)):
        write(
            here / folder,
            {"own.py": NET.format(line="from .near import f"), "near.py": "def f():\n    from . import far"},
        )
        write(here / folder, {"far.py": f"LIMIT = {limit}\n"})
        found.append(behind(f"{folder}/own.py:Net"))
    assert found[0] == found[1] != found[2]
    assert len(found[0]) == 3


def test_the_file_that_names_a_callable_counts_though_it_comes_from_another(here: Path) -> None:
    write(here, {"made.py": "class Scale:\n    def __init__(self, by): ...\n    def __call__(self, x): ...\n"})
    write(here, {"hooks.py": "from made import Scale\nhook = Scale(2)\n"})
    before = code_behind([resolve("hooks:hook"), module_of("hooks:hook")])
    write(here, {"hooks.py": "from made import Scale\nhook = Scale(3)\n"})
    assert code_behind([resolve("hooks:hook"), module_of("hooks:hook")]) != before


def test_a_module_that_cannot_be_read_or_found_ends_nothing(here: Path) -> None:
    line = "import gone, gone.too, broken, binary\n        from .... import above"
    write(here, {"net.py": NET.format(line=line), "broken.py": "def (\n"})
    (here / "binary.py").write_bytes(b"\0\xff")
    assert len(behind()) == 3


def test_nothing_is_imported_to_be_found(here: Path) -> None:
    write(here, {"net.py": NET.format(line="import pkg.far"), "pkg/__init__.py": "1 / 0\n", "pkg/far.py": "1 / 0\n"})
    assert len(behind()) == 3
    assert "pkg" not in sys.modules


def test_python_torch_and_pitstop_are_left_out_and_a_network_of_the_zoo_is_not(here: Path) -> None:
    line = "import os, json.decoder, torch.nn, configs.schema, models.startup.start"
    write(here, {"net.py": NET.format(line=line)})
    alone = behind()
    assert len(alone) == 1
    write(here, {"net.py": NET.format(line="import models.zoo.mlp")})
    assert len(behind()) > 1


def test_an_installed_package_is_known_by_its_version_and_its_imports_are_not_read(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    installed = here / "lib" / "site-packages"
    monkeypatch.syspath_prepend(str(installed))
    about = {"lib_x-1.dist-info/METADATA": "Metadata-Version: 2.1\nName: lib_x\nVersion: {}\n"}
    write(installed, {"lib_x/__init__.py": "from . import inner\n", "lib_x/inner.py": ""})
    write(here, {"net.py": NET.format(line="import lib_x")})

    def known(version: str) -> list[bytes]:
        write(installed, {name: text.format(version) for name, text in about.items()})
        imports._version.cache_clear()
        return behind()

    before = known("1.0")
    write(installed, {"lib_x/inner.py": "changed = 1\n"})
    assert known("1.0") == before
    assert known("1.1") != before


def test_other_processes_find_the_same_wherever_the_folder_lies(tmp_path: Path) -> None:
    code = "from models.compile.imports import *; from models.sources.resolve import resolve;"
    code += "print([each.hex() for each in code_behind([resolve('net:Net')])])"
    found = set()
    for seed in ("1", "2"):
        write(
            tmp_path / seed,
            {"net.py": NET.format(line="import pkg.a, pkg.b"), "pkg/a.py": "import pkg.b", "pkg/b.py": ""},
        )
        found.add(
            subprocess.run(
                [sys.executable, "-c", code],
                cwd=PROJECT,
                env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": str(tmp_path / seed)},
                capture_output=True,
                text=True,
                check=True,
            ).stdout
        )
    [digests] = found
    assert digests.count("'") == 6


@pytest.mark.timing
def test_200_files_take_well_under_a_second(here: Path) -> None:
    source = Path(sysconfig.get_path("stdlib"), "argparse.py").read_text()
    for number in range(200):
        text = f"import own_{(number * 7 + 1) % 200}, own_{(number + 1) % 200}\n"
        write(here, {f"own_{number}.py": text + source[:8000].rpartition("\n\n\n")[0] + "\n"})
    write(here, {"net.py": NET.format(line="import own_0")})
    resolve("net:Net")
    began = time.perf_counter()
    assert len(behind()) == 201
    assert time.perf_counter() - began < 1


def test_a_package_is_known_by_the_version_of_a_distribution_of_another_name() -> None:
    assert imports._version("yaml") == f"PyYAML {metadata.version('PyYAML')}"
    assert imports._version("nothing_of_this_name") == ""
