"""The bound of the cache folder: what was not used for longest goes, what is in use stays, also over processes."""

import logging
import os
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest
import torch

from configs.code_files import PROJECT
from models import cache
from models.compile import store, torchscript
from models.compile.build import Compiled
from models.errors import ModelError
from models.sources import files
from tests.models.networks import Linear

KIB = 2**10


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PITSTOP_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv(cache.VARIABLE, str(10 * KIB / 2**30))
    monkeypatch.setattr(cache, "_used", {})
    return tmp_path / "cache"


def kept(folder: Path, name: str, size: int, used: int) -> Path:
    path = folder / "torchscript" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"x" * size)
    os.utime(path, (used, used))
    return path


def test_the_least_recently_used_goes_until_the_folder_is_within_its_bound(folder: Path) -> None:
    oldest, older, newest = (kept(folder, name, 4 * KIB, used) for used, name in enumerate("abc"))
    cache.shrink(newest)
    assert [oldest.exists(), older.exists(), newest.exists()] == [False, True, True]


def test_use_makes_a_file_young(folder: Path) -> None:
    first, second, newest = (kept(folder, name, 4 * KIB, used) for used, name in enumerate("abc"))
    os.utime(first)
    cache.shrink(newest)
    assert [first.exists(), second.exists()] == [True, False]


def test_neither_the_newest_nor_what_is_in_use_goes(folder: Path) -> None:
    used, newest = kept(folder, "a", 20 * KIB, 0), kept(folder, "b", 20 * KIB, 1)
    assert cache.use(used)
    os.utime(used, (0, 0))
    cache.shrink(newest)
    assert used.exists()
    assert newest.exists()


def test_what_another_process_uses_stays_and_goes_once_that_has_ended(folder: Path) -> None:
    used, newest = kept(folder, "a", 20 * KIB, 0), kept(folder, "b", 1 * KIB, 1)
    code = "import sys; from pathlib import Path; from models import cache; cache.use(Path(sys.argv[1]));"
    code += "print('used', flush=True); sys.stdin.read()"
    with subprocess.Popen(
        [sys.executable, "-c", code, str(used)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=PROJECT
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"used\n"
        cache.shrink(newest)
        assert used.exists()
        other.communicate()
    cache.shrink(newest)
    assert not used.exists()


def test_a_file_that_was_removed_is_not_in_use(folder: Path) -> None:
    assert not cache.use(folder / "torchscript" / "gone")


def test_downloads_are_within_the_bound_too(folder: Path, tmp_path: Path) -> None:
    old = kept(folder, "a", 8 * KIB, 0)
    (tmp_path / "w.bin").write_bytes(b"w" * 8 * KIB)
    path = files.fetch(f"file://{tmp_path}/w.bin")
    assert path.read_bytes() == b"w" * 8 * KIB
    assert not old.exists()


def test_files_that_are_not_the_cache_s_own_are_never_removed(folder: Path) -> None:
    own = folder / "notes.txt"
    newest = kept(folder, "a", 20 * KIB, 1)
    own.write_bytes(b"x" * 20 * KIB)
    cache.shrink(newest)
    assert own.exists()


def unpacked(folder: Path, name: str, used: int) -> Path:
    """A folder among a backend's artefacts, of 8 KiB in two files."""
    for part in ("code/a.so", "weights/b.bin"):
        kept(folder, f"{name}/{part}", 4 * KIB, used)
    for path in [*(folder / "torchscript" / name).rglob("*"), folder / "torchscript" / name]:
        os.utime(path, (used, used))
    return folder / "torchscript" / name


def test_a_folder_of_a_backend_s_goes_as_a_whole(folder: Path) -> None:
    old, young, newest = unpacked(folder, "a", 0), unpacked(folder, "b", 1), kept(folder, "c", KIB, 2)
    assert cache.used_bytes() == 17 * KIB
    cache.shrink(newest)
    assert not old.exists()
    assert len([path for path in young.rglob("*") if path.is_file()]) == 2
    assert sorted(path.name for path in (folder / "torchscript").iterdir()) == ["b", "c"]


@pytest.mark.parametrize("used", ["a", "a/code/a.so"])
def test_a_folder_in_use_or_with_a_file_in_use_stays_whole(folder: Path, used: str) -> None:
    old, newest = unpacked(folder, "a", 0), kept(folder, "c", 9 * KIB, 2)
    assert cache.use(folder / "torchscript" / used)
    cache.shrink(newest)
    assert len([path for path in old.rglob("*") if path.is_file()]) == 2


def test_the_folder_of_the_newest_stays(folder: Path) -> None:
    old = unpacked(folder, "a", 0)
    kept(folder, "c", 9 * KIB, 2)
    cache.shrink(old / "code" / "a.so")
    assert old.exists()


def test_documents_are_within_the_bound_too(folder: Path) -> None:
    document, newest = kept(folder, "../starts/a.json", 4 * KIB, 0), kept(folder, "c", 9 * KIB, 2)
    cache.shrink(newest)
    assert not document.exists()


@pytest.mark.parametrize("text", ["much", "0", "-1", "nan", "inf"])
def test_a_bound_that_is_none_is_refused_by_name(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(cache.VARIABLE, text)
    with pytest.raises(ModelError, match=cache.VARIABLE):
        cache.bound_gib()


def test_the_cache_is_its_owner_s_alone(folder: Path) -> None:
    assert cache.folder("files").parent == folder
    assert folder.stat().st_mode & 0o777 == 0o700


def test_a_bound_that_is_none_costs_a_warning_and_no_start(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(logging.getLogger("pitstop"), "propagate", True)
    monkeypatch.setenv(cache.VARIABLE, "much")
    torchscript.keep("key", Compiled(torch.jit.script(Linear().eval()), "script"))
    read = partial(torchscript.load, device=torch.device("cpu"))
    assert store.read("torchscript", "key", read) is not None
    assert "PITSTOP_CACHE_GIB: 'much' is not a number of GiB above 0" in caplog.text
    assert "The default of 20 GiB is used." in caplog.text
