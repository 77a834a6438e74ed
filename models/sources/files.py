"""Finds a model's file: a path, or any fsspec URL, brought to disk and checked against its sha256.

Downloads and compiled artefacts share one cache folder, $PITSTOP_CACHE or ~/.cache/pitstop.
"""

import hashlib
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from configs.code_files import local, no_such_file

from .. import cache
from ..errors import ModelError
from . import allowlist
from .urls import file_name, shown, without_secrets

_CHUNK_BYTES = 2**20
# What each location of this process was, and the state of its file: a digest made later must be of what was loaded.
_fetched: dict[str, tuple[Path, tuple[int, ...]]] = {}

__all__ = ["NoFileError", "copy_from", "digest", "fetch", "follow_umask", "same_as_fetched", "shown"]
__all__ += ["write_atomically", "written_atomically"]


class NoFileError(ModelError):
    """Nothing is there, though whoever was asked answered."""


def fetch(location: str, sha256: str | None = None) -> Path:
    """Return a local path of `location`: absolute, relative to the project or the working directory, or a URL.

    Raises:
        ModelError: it is not there, $PITSTOP_SOURCES does not allow it, or its checksum differs.
    """
    if "://" in location:
        allowlist.allow_url(location)
        path = _download(location)
    else:
        path = allowlist.allow_path(_find(location), location)
    _fetched[location] = path, _state(path, location)
    if sha256 is not None and (actual := digest(path)) != sha256:
        raise ModelError(
            f"{shown(location)}: sha256 is {actual}, the config expects {sha256}\n"
            "help: the file changed or the download broke; restore the file, or update sha256 if you trust it"
        )
    return path


def same_as_fetched(location: str) -> Path:
    """Return the file that `fetch` returned last for a location; raise ModelError if it has changed since."""
    if location not in _fetched:
        return fetch(location)
    path, state = _fetched[location]
    if not path.is_file() or _state(path, location) != state:
        raise ModelError(f"{shown(location)}: the file changed after it was loaded\nhelp: start again")
    return path


def copy_from(location: str, to: Path, stopped: Callable[[], bool] = lambda: False) -> str:
    """Copy what a URL or the path of a file names into an empty file, and return its sha256.

    Raises:
        ModelError: it cannot be read, or $PITSTOP_SOURCES does not allow it; NoFileError where there is none.
        OSError: it cannot be written.
        TimeoutError: it was `stopped`, which is asked between parts.
    """
    hasher = hashlib.sha256()
    if "://" in location:
        allowlist.allow_url(location)
    else:
        location = str(allowlist.allow_path(Path(location), location))
    # It is not made anew: whoever gave up waiting has removed it.
    with to.open("r+b") as file:
        for chunk in _chunks(location):
            if stopped():
                raise TimeoutError
            hasher.update(chunk)
            file.write(chunk)
    return hasher.hexdigest()


def digest(path: Path) -> str:
    """Return the sha256 of a file, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write_atomically(path: Path, data: bytes) -> None:
    """Write a file so that a reader sees all of it or nothing. Its mode follows the umask."""
    with written_atomically(path.parent) as part:
        part.write_bytes(data)
        part.replace(path)


@contextmanager
def written_atomically(folder: Path) -> Iterator[Path]:
    """Yield an empty file in a folder, to write and to move into place; it is removed if it is not moved."""
    folder.mkdir(parents=True, exist_ok=True)
    part = folder / f"part-{secrets.token_hex(8)}"
    # torch does not write to a name that begins with a dot. Not mkstemp, whose files only their owner can read: an
    # image is often built by one user and run by another.
    part.touch(exist_ok=False)
    try:
        with cache.held(part):
            yield part
    finally:
        part.unlink(missing_ok=True)


def follow_umask(path: Path) -> None:
    """Give a file the mode of a new one; some writers make files that only their owner can read."""
    fresh = path.with_name(f"part-{secrets.token_hex(8)}")
    fresh.touch(exist_ok=False)
    try:
        path.chmod(fresh.stat().st_mode & 0o777)
    finally:
        fresh.unlink()


def _find(location: str) -> Path:
    found = local(location)
    if found is None:
        raise ModelError("\nhelp: ".join(no_such_file(location)))
    return found


def _download(url: str) -> Path:
    with _kept(shown(url)), written_atomically(cache.folder("files")) as part:
        content = copy_from(url, part)
        path = cache.folder("files") / content[:16] / file_name(url)
        if not path.is_file() or digest(path) != content:
            path.parent.mkdir(parents=True, exist_ok=True)
            part.replace(path)
        cache.use(path)
    cache.shrink(path)
    return path


def _state(path: Path, location: str) -> tuple[int, ...]:
    found = path.stat()
    # The time of a download is when any process used it last.
    changed = 0 if "://" in location else found.st_mtime_ns
    return found.st_dev, found.st_ino, found.st_size, changed


def _chunks(url: str) -> Iterator[bytes]:
    import fsspec

    try:
        with Path(url).open("rb") if "://" not in url else fsspec.open(url, "rb") as remote:
            while chunk := remote.read(_CHUNK_BYTES):
                yield chunk
    except ImportError as error:
        raise ModelError(f"{shown(url)}: {error}\nhelp: install the fsspec driver of this kind of URL") from error
    except Exception as error:  # Drivers raise their own kinds. Neither text nor traceback may repeat a signature.
        cause = _cause(error)
        said = f"{type(cause).__name__}: {without_secrets(str(cause))}"
        kind = NoFileError if isinstance(cause, FileNotFoundError) else ModelError
        raise kind(f"{shown(url)}: cannot be read ({said})\nhelp: check URL and rights") from None


def _cause(error: BaseException) -> BaseException:
    """Return why there is no file: fsspec says so of a host, too, that did not answer, or refused."""
    cause = error.__cause__
    if isinstance(error, FileNotFoundError) and cause is not None:
        known = isinstance(cause, OSError) or type(cause).__module__.startswith("aiohttp")
        return _cause(cause) if known else error
    return error


@contextmanager
def _kept(name: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise ModelError(
            f"{name}: cannot be kept in {cache.cache_dir()} ({error.strerror or type(error).__name__})\n{cache.HELP}"
        ) from None
