"""Files that would run code when they are loaded run none, and URLs keep their secrets to themselves."""

import io
import logging
import os
import zipfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import torch

from configs.schema import SourceConfig
from models.errors import ModelError
from models.sources import files
from models.sources.source import load
from models.sources.urls import file_name, shown
from tests.models.networks import Linear


class Marks:
    """Leaves a file where it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return open, (str(self.path), "w")


@pytest.fixture
def mark(tmp_path: Path) -> Path:
    return tmp_path / "code-ran"


@pytest.fixture
def honest(tmp_path: Path) -> Path:
    rows = torch.export.Dim("rows", min=1, max=64)
    program = torch.export.export(Linear().eval(), (torch.ones(2, 4),), dynamic_shapes=({0: rows},))
    torch.export.save(program, tmp_path / "ok.pt2")
    return tmp_path / "ok.pt2"


def evil(honest: Path, mark: Path, wanted: Callable[[str], bool]) -> Path:
    """Return a copy of an export with some of its parts replaced by a pickle that leaves a mark."""
    kept, path = io.BytesIO(), honest.with_name("evil.pt2")
    torch.save({"a": Marks(mark)}, kept)
    replaced = 0
    with zipfile.ZipFile(honest) as old, zipfile.ZipFile(path, "w") as new:
        for name in old.namelist():
            replaced += wanted(name)
            new.writestr(name, kept.getvalue() if wanted(name) else old.read(name))
    assert replaced
    return path


@pytest.mark.parametrize("variable", [None, "TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD"])
def test_a_crafted_export_runs_nothing_and_an_honest_one_loads(
    honest: Path, mark: Path, variable: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    if variable:
        monkeypatch.setenv(variable, "1")
    before = dict(os.environ)
    path = evil(honest, mark, lambda name: "sample_inputs" in name or name.endswith("example_inputs.pt"))
    with pytest.raises(ModelError, match="would run their author's code"):
        load(SourceConfig(exported_program=str(path)))
    assert not mark.exists()
    assert dict(os.environ) == before
    assert torch.allclose(
        load(SourceConfig(exported_program=str(honest)))(torch.ones(3, 4)), Linear()(torch.ones(3, 4))
    )


def test_every_part_of_an_export_may_be_a_pickle_and_none_runs(honest: Path, mark: Path) -> None:
    with zipfile.ZipFile(honest) as archive:
        names = archive.namelist()
    for part in names:
        with suppress(ModelError):  # Some parts are never read.
            load(SourceConfig(exported_program=str(evil(honest, mark, part.__eq__))))
        assert not mark.exists(), part


def test_opaque_constants_of_an_export_are_not_unpickled(honest: Path, mark: Path) -> None:
    archive = pytest.importorskip("torch.export.pt2_archive._package")
    from models.sources.exported_program import _no_code

    with _no_code(), pytest.raises(RuntimeError, match="unrestricted unpickling is refused"):
        archive.pickle.loads(b"")
    with _no_code(), pytest.raises(RuntimeError, match="compiled libraries"):
        archive._load_aoti(str(honest), "model", False, 1, -1)
    assert not mark.exists()


def test_an_aotinductor_package_is_told_what_it_is(honest: Path) -> None:
    with zipfile.ZipFile(honest, "a") as archive:
        archive.writestr("ok/data/aotinductor/model/net.so", b"")
    with pytest.raises(ModelError, match="is an AOTInductor package"):
        load(SourceConfig(exported_program=str(honest)))


@pytest.mark.parametrize("key", ["weights", "torchscript"])
def test_a_pickle_runs_nothing_by_any_key(tmp_path: Path, mark: Path, key: str) -> None:
    torch.save(Marks(mark), tmp_path / "m.pt")
    keys = {key: str(tmp_path / "m.pt")} | ({"factory": "tests.models.networks:Linear"} if key == "weights" else {})
    with pytest.raises(ModelError):
        load(SourceConfig.model_validate(keys))
    assert not mark.exists()


SIGNED = "https://user:PASSWORD@127.0.0.1:9/models/a.safetensors?X-Amz-Signature=SECRET&token=TOKEN#SECRET"


def test_no_secret_of_a_url_is_in_a_message_a_traceback_or_the_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("PITSTOP_CACHE", str(tmp_path))
    caplog.set_level(logging.INFO)
    with pytest.raises(ModelError) as caught:
        files.fetch(SIGNED)
    logging.getLogger("any").error("failed", exc_info=caught.value)
    said = f"{caught.value} {caplog.text}"
    assert "https://127.0.0.1:9/models/a.safetensors: cannot be read" in said
    assert not [word for word in ("PASSWORD", "SECRET", "TOKEN", "user") if word in said]


def test_the_name_of_a_download_has_no_query_and_a_bound() -> None:
    assert file_name(SIGNED) == "a.safetensors"
    assert shown("s3://bucket/a.pt") == "s3://bucket/a.pt"
    long = file_name("https://host/" + "a" * 700 + ".safetensors?token=" + "b" * 700)
    assert len(long) <= 120
    assert long.endswith("a.safetensors")
    assert file_name("https://host/..%2f..%2fetc%2fpasswd") == "passwd" or "/" not in file_name("https://host/..%2fa")


@pytest.mark.parametrize("umask, mode", [(0o022, 0o644), (0o002, 0o664), (0o077, 0o600)])
def test_files_follow_the_umask(tmp_path: Path, umask: int, mode: int) -> None:
    from pitstop.export import checkpoint

    before = os.umask(umask)
    try:
        files.write_atomically(tmp_path / "a.json", b"{}")
        checkpoint.write({"a": torch.zeros(1)}, tmp_path / "a.safetensors")
    finally:
        os.umask(before)
    assert [path.stat().st_mode & 0o777 for path in sorted(tmp_path.iterdir())] == [mode, mode]
