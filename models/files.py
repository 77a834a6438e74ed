"""Finds a model's file: a path, or any fsspec URL, brought to disk and checked against its sha256.

Downloads and compiled artefacts share one cache folder, $PITSTOP_CACHE or ~/.cache/pitstop.
"""

import hashlib
import os
import tempfile
from pathlib import Path

from .errors import ModelError

PROJECT = Path(__file__).resolve().parents[1]


def cache_dir() -> Path:
    return Path(os.environ.get("PITSTOP_CACHE") or Path.home() / ".cache" / "pitstop")


def fetch(location: str, sha256: str | None = None) -> Path:
    """Return a local path of `location`: absolute, relative to the project or the working directory, or a URL."""
    path = _download(location) if "://" in location else _find(location)
    if sha256 is not None and (found := digest(path)) != sha256:
        raise ModelError(
            f"{location}: sha256 is {found}, the config expects {sha256}\n"
            "help: the file changed or the download broke; restore the file, or update sha256 if you trust it"
        )
    return path


def digest(path: Path) -> str:
    """Return the sha256 of a file, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write_atomically(path: Path, data: bytes) -> None:
    """Write so that a reader sees all of it or nothing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=".part-")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def _find(location: str) -> Path:
    candidates = [Path(location).expanduser(), PROJECT / location]
    for path in candidates:
        if path.is_file():
            return path
    raise ModelError(
        f"{location}: no such file\nhelp: paths are taken from the working directory, then from the project's root"
    )


def _download(url: str) -> Path:
    import fsspec

    try:
        with fsspec.open(url, "rb") as remote:
            data = remote.read()
    except ImportError as error:
        raise ModelError(f"{url}: {error}\nhelp: install the fsspec driver of this kind of URL") from error
    except Exception as error:
        raise ModelError(
            f"{url}: cannot be read ({type(error).__name__}: {error})\nhelp: check URL and rights"
        ) from error
    content = hashlib.sha256(data).hexdigest()
    path = cache_dir() / "files" / content[:16] / url.rstrip("/").rsplit("/", 1)[-1]
    try:
        if not path.is_file() or digest(path) != content:
            write_atomically(path, data)
    except OSError as error:
        raise ModelError(
            f"{url}: cannot be kept in {cache_dir()} ({error})\n"
            "help: see that there is room and that it may be written to, or point PITSTOP_CACHE to another folder"
        ) from error
    return path
