"""Finds a pretrained model's directory: a path, or an id in the Hugging Face cache or, where it can be had, on the hub.

Only data is taken from it: JSON, tokenizer files and safetensors. Code in it is never run.
"""

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from configs.code_files import LOOKED_UP, local_folder
from configs.schema import SourceConfig

from ...errors import ModelError, first_line
from .. import allowlist

_HUB = "https://huggingface.co"
# No pickles and no code, whatever else a repository has.
_PATTERNS = ["*.json", "*.safetensors", "*.txt", "*.model"]


@dataclass(frozen=True, slots=True)
class Directory:
    """A directory on this machine; `location` is its name in the config, for errors."""

    path: Path
    location: str

    def json(self, name: str) -> Any:
        """Return a JSON file's content; an empty dict where there is none."""
        path = self.path / name
        if not path.is_file():
            return {}
        try:
            return json.loads(path.read_text(encoding="utf-8"))
        except ValueError as error:
            raise ModelError(
                f"{self.location}: {name} is not JSON ({first_line(error)})\nhelp: save it again"
            ) from error

    def has(self, *names: str) -> bool:
        """Whether one of these files is there; a name may have a `*`."""
        return any(any(self.path.glob(name)) for name in names)


def find(source: SourceConfig) -> Directory:
    """Return the directory of a source.

    Raises:
        ModelError: it is not here and cannot be had, $PITSTOP_SOURCES does not allow it, or it has no config.json.
    """
    assert source.pretrained is not None
    location = source.pretrained
    found = local_folder(location)
    if found is not None and source.revision is not None:
        raise ModelError(f"{location}: is a directory, and source.revision is of an id\nhelp: remove revision")
    path = _from_hub(location, source.revision) if found is None else allowlist.allow_path(found, location)
    if allowlist.VARIABLE in os.environ:
        for file in path.rglob("*"):
            # Links of the cache, and anybody's, must not lead out of what is allowed.
            allowlist.allow_path(file, f"{location}/{file.relative_to(path)}")
    directory = Directory(path, location)
    if not directory.has("config.json", "modules.json"):
        raise ModelError(
            f"{location}: has no config.json, so it is no directory of transformers\n"
            "help: name the directory that save_pretrained wrote"
        )
    return directory


def _from_hub(location: str, revision: str | None) -> Path:
    name = location.strip("/")
    if location != name or name.count("/") > 1 or name.startswith((".", "~")) or "\\" in name:
        raise ModelError(f"{location}: no such directory\nhelp: {LOOKED_UP}")
    try:
        from huggingface_hub import snapshot_download
        from huggingface_hub.errors import HFValidationError
    except ImportError:
        raise missing_package() from None
    try:
        return Path(snapshot_download(name, revision=revision, local_files_only=True, allow_patterns=_PATTERNS))
    except HFValidationError:
        raise ModelError(f"{location}: no such directory, and no id of Hugging Face\nhelp: {LOOKED_UP}") from None
    except Exception:  # Not in the cache: the hub's client has an error for each way to be absent.
        allowlist.allow_url(f"{_HUB}/{name}")
    try:
        return Path(snapshot_download(name, revision=revision, allow_patterns=_PATTERNS, etag_timeout=10))
    except Exception as error:  # As above, and whatever the network raises.
        at = f" at revision {revision}" if revision else ""
        option = f" --revision {revision}" if revision else ""
        raise ModelError(
            f"{location}: this machine has no such directory and no such id{at} in its Hugging Face cache, and the "
            f"hub did not give it ({type(error).__name__})\n"
            f"help: where the network is, run `hf download {name}{option} --local-dir DIR`, bring DIR here, and "
            "name it as source.pretrained"
        ) from None


def missing_package() -> ModelError:
    return ModelError(
        "source.pretrained needs the package transformers, which is not installed\n"
        "help: install the extra `pretrained`, which requirements.lock contains (make install)"
    )
