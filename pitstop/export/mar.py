"""A TorchServe archive: a zip (.mar) or its unpacked folder, with MAR-INF/MANIFEST.json saying what is what.

The names inside are a stranger's. Each must stay within the folder it is unpacked into; links are refused; nothing in
the archive is imported or run.
"""

import json
import shutil
import stat
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from models.errors import ModelError

_MANIFEST = "MAR-INF/MANIFEST.json"
_HELP = "help: an archive of torch-model-archiver has none; do not use this one unless you know where it comes from"


@dataclass(frozen=True, slots=True)
class Archive:
    """What lies unpacked in `folder`. `model` is the manifest's entry; `files` are names within the folder."""

    path: Path
    folder: Path
    model: Mapping[str, Any]
    files: tuple[str, ...]

    @property
    def name(self) -> str:
        return str(self.model.get("modelName") or self.path.stem)

    def file(self, key: str) -> str | None:
        """Return the file that the manifest names under `key`; a ModelError where it is not in the archive."""
        name = self.model.get(key)
        if not name:
            return None
        if str(name) not in self.files:
            raise ModelError(f"{self.path}: {key} names {name!r}, which is not in it\nhelp: pack the archive again")
        return str(name)


def unpack(path: Path, folder: Path) -> Archive:
    """Unpack an archive into an empty folder; a ModelError where it is none, or reaches out of the folder."""
    if path.is_dir():
        files = _copy(path, folder)
    elif zipfile.is_zipfile(path):
        files = _extract(path, folder)
    else:
        raise ModelError(
            f"{path}: {'is neither a zip nor a folder' if path.exists() else 'no such file'}\n"
            "help: give a .mar, or the folder that `--archive-format no-archive` writes; unpack a .tar.gz first"
        )
    return Archive(path, folder, _model(path, folder), tuple(name for name in files if name != _MANIFEST))


def _extract(path: Path, folder: Path) -> list[str]:
    with zipfile.ZipFile(path) as archive:
        members = [each for each in archive.infolist() if not each.is_dir()]
        for each in members:
            _check(path, each.orig_filename)
            if stat.S_ISLNK(each.external_attr >> 16):
                raise ModelError(f"{path}: {each.filename!r} is a link\n{_HELP}")
        _check_room(path, sum(each.file_size for each in members), folder)
        try:
            for each in members:
                archive.extract(each, folder)
        except (zipfile.BadZipFile, RuntimeError, NotImplementedError, EOFError) as error:
            raise ModelError(f"{path}: cannot be unpacked ({error})\nhelp: copy or pack it again") from error
    return sorted(each.filename for each in members)


def _copy(path: Path, folder: Path) -> list[str]:
    files = sorted(each for each in path.rglob("*") if each.is_symlink() or each.is_file())
    link = next((each for each in [*files, *path.rglob("*")] if each.is_symlink()), None)
    if link is not None:
        raise ModelError(f"{path}: {link.relative_to(path).as_posix()!r} is a link\n{_HELP}")
    _check_room(path, sum(each.stat().st_size for each in files), folder)
    for each in files:
        target = folder / each.relative_to(path)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(each, target)
    return [each.relative_to(path).as_posix() for each in files]


def _check(path: Path, name: str) -> None:
    # Also as Windows would read it; zipfile would drop such parts in silence and put the file elsewhere.
    parts = PurePosixPath(name.replace("\\", "/"))
    if parts.is_absolute() or ".." in parts.parts or ":" in name or "\0" in name:
        raise ModelError(f"{path}: {name!r} would be written outside of the folder\n{_HELP}")


def _check_room(path: Path, size: int, folder: Path) -> None:
    free = shutil.disk_usage(folder).free
    if size > free:
        what = f"unpacks to {size / 2**30:,.1f} GiB, and {free / 2**30:,.1f} GiB are free"
        raise ModelError(f"{path}: {what}\nhelp: make room, or do not trust a small file that unpacks to so much")


def _model(path: Path, folder: Path) -> Mapping[str, Any]:
    try:
        manifest = json.loads((folder / _MANIFEST).read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ModelError(f"{path}: has no {_MANIFEST}\nhelp: torch-model-archiver writes it: pack it again") from error
    except ValueError as error:
        raise ModelError(f"{path}: {_MANIFEST} is not JSON ({error})\nhelp: pack it again") from error
    model = manifest.get("model") if isinstance(manifest, dict) else None
    if not isinstance(model, dict):
        raise ModelError(f"{path}: {_MANIFEST} describes no model\nhelp: pack it again with torch-model-archiver")
    return model
