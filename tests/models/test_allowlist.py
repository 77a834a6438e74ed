"""Models come from where PITSTOP_SOURCES allows, however the way there is written."""

from pathlib import Path

import pytest

from models.errors import ModelError
from models.signature import Signature, Tensor
from models.sources import files
from models.sources.allowlist import VARIABLE, allow_url
from models.startup import examples


@pytest.fixture
def folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that is allowed, one that is not, and one whose name begins like the first's."""
    for name in ("models", "secrets", "models-of-others"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "a.bin").write_bytes(b"a")
    monkeypatch.setenv(VARIABLE, f"{tmp_path}/models, s3://bucket/models, https://host/m/")
    return tmp_path


def test_without_the_variable_any_place_will_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    (tmp_path / "a.bin").write_bytes(b"a")
    assert files.fetch(str(tmp_path / "a.bin")) == tmp_path / "a.bin"
    allow_url("s3://anywhere/at/all")


def test_a_file_of_an_allowed_folder_is_taken(folders: Path) -> None:
    assert files.fetch(f"{folders}/secrets/../models/a.bin") == folders / "models" / "a.bin"
    assert files.fetch(f"file://{folders}/models/a.bin").read_bytes() == b"a"


@pytest.mark.parametrize("example", ["secrets/a.npz", "secrets/rows.py:rows"])
def test_examples_come_from_there_too(folders: Path, example: str) -> None:
    (folders / "secrets" / "a.npz").write_bytes(b"")
    (folders / "secrets" / "rows.py").write_text("rows = dict")
    signature = Signature((Tensor("x", "FP32", (-1, 4)),), ())
    with pytest.raises(ModelError, match=f"that {VARIABLE} allows"):
        examples.load(f"{folders}/{example}", signature)


@pytest.mark.parametrize("way", ["secrets/a.bin", "models/../secrets/a.bin", "models-of-others/a.bin", "models/link"])
@pytest.mark.parametrize("scheme", ["", "file://"])
def test_no_way_leads_out_of_it(folders: Path, way: str, scheme: str) -> None:
    (folders / "models" / "link").symlink_to(folders / "secrets" / "a.bin")
    with pytest.raises(ModelError, match=f"that {VARIABLE} allows: {folders}/models"):
        files.fetch(f"{scheme}{folders}/{way}")


def test_an_allowed_folder_may_itself_be_a_symlink(folders: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folders / "current").symlink_to(folders / "models")
    monkeypatch.setenv(VARIABLE, f"{folders}/current")
    assert files.fetch(f"{folders}/current/a.bin").read_bytes() == b"a"


@pytest.mark.parametrize("url", ["s3://bucket/models/a.bin", "s3://bucket/models/b/a.bin", "https://host/m/a.bin"])
def test_urls_below_a_prefix_are_allowed(folders: Path, url: str) -> None:  # noqa: ARG001
    allow_url(url)


@pytest.mark.parametrize(
    "url",
    [
        "s3://bucket/models-of-others/a.bin",
        "s3://bucket/models",
        "s3://bucket/models/../secrets/a.bin",
        "s3://bucket/models/%2e%2e/secrets/a.bin",
        "s3://bucket/models/%252e%252e/secrets/a.bin",
        "s3://bucket/models/a.bin::file:///etc/passwd",
        "s3://bucket.evil/models/a.bin",
        "https://host/m/x?/../../secret",
        "https://host.evil/m/a.bin",
        "https://host@evil/m/a.bin",
        "http://host/m/a.bin",
        "memory://bucket/models/a.bin",
        "file://relative/a.bin",
    ],
)
def test_urls_beside_every_prefix_are_refused(folders: Path, url: str) -> None:  # noqa: ARG001
    with pytest.raises(ModelError, match=VARIABLE):
        allow_url(url)


def test_an_empty_list_allows_nothing(folders: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "")
    with pytest.raises(ModelError, match="allows: none"):
        files.fetch(f"{folders}/models/a.bin")


def test_a_checksum_is_held_against_an_allowed_file_too(folders: Path) -> None:
    with pytest.raises(ModelError, match="sha256 is"):
        files.fetch(f"{folders}/models/a.bin", "0" * 64)
