"""The cache of compiled artefacts when the disk is full, half written, damaged or not ours to write."""

import errno
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch

from models import artefacts
from models.layout import Layout
from tests.models.networks import Linear

CPU = torch.device("cpu")
LAYOUT = Layout(CPU, torch.float32, False, (1, 2), ())


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PITSTOP_CACHE", str(tmp_path))
    monkeypatch.setattr(logging.getLogger("pitstop"), "propagate", True)
    return tmp_path


def scripted() -> torch.jit.ScriptModule:
    found: torch.jit.ScriptModule = torch.jit.script(Linear().eval())
    return found


def kept(cache: Path) -> list[Path]:
    return sorted(path for path in cache.rglob("*") if path.is_file())


@contextmanager
def a_disk_that_is_full_after(size: int, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let a file take `size` bytes and no more."""
    real = os.fdopen

    def fdopen(*args: Any) -> Any:
        file = real(*args)
        write = file.write

        class Full:
            def __enter__(self) -> "Full":
                return self

            def __exit__(self, *_: object) -> None:
                file.close()

            def write(self, data: bytes) -> None:
                write(data[:size])
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        return Full()

    with monkeypatch.context() as patch:
        patch.setattr("models.files.os.fdopen", fdopen)
        yield


def test_what_was_written_is_read_again(cache: Path) -> None:
    artefacts.write("key", scripted(), "script", "a note")
    found = artefacts.read("key", CPU)
    assert found is not None
    module, how, note = found
    assert (how, note) == ("script", "a note")
    x = torch.ones(1, 4)
    assert torch.equal(module(x), Linear().eval()(x))
    assert [path.name for path in kept(cache)] == ["key.pt"]


def test_a_full_disk_leaves_nothing_behind_and_costs_one_warning_with_advice(
    cache: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with a_disk_that_is_full_after(1000, monkeypatch):
        artefacts.write("key", scripted(), "script", "")
    assert kept(cache) == []
    assert artefacts.read("key", CPU) is None
    [record] = caplog.records
    assert "the next start compiles again: [Errno 28] No space left on device" in record.getMessage()
    assert "point PITSTOP_CACHE to another folder" in record.getMessage()


@pytest.mark.parametrize("damage", ["cut", "flipped", "empty"])
def test_an_artefact_that_is_not_what_was_written_is_never_run(
    damage: str, cache: Path, caplog: pytest.LogCaptureFixture
) -> None:
    artefacts.write("key", scripted(), "script", "")
    [path] = kept(cache)
    data = path.read_bytes()
    middle = len(data) // 2
    bad = {"cut": data[:-1], "flipped": data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :], "empty": b""}
    path.write_bytes(bad[damage])
    assert artefacts.read("key", CPU) is None
    assert "is damaged and will be made again" in caplog.text
    artefacts.write("key", scripted(), "script", "")
    assert artefacts.read("key", CPU) is not None


def test_a_cache_that_may_not_be_read_is_done_without(cache: Path, caplog: pytest.LogCaptureFixture) -> None:
    # A folder in the file's place fails for root as well, whom no permission stops.
    (cache / "torchscript" / "key.pt").mkdir(parents=True)
    assert artefacts.read("key", CPU) is None
    assert "cannot be read and will be made again" in caplog.text
    artefacts.write("key", scripted(), "script", "")


def test_the_key_changes_with_the_weights() -> None:
    module = Linear()
    before = artefacts.key_of(module, LAYOUT, "auto")
    with torch.no_grad():
        module.layer.weight[0, 0] += 1
    assert artefacts.key_of(module, LAYOUT, "auto") != before
