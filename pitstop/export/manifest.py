"""The note beside an artefact: what it is, from what and with which versions it was made, how near it is to its source.

`DEST.manifest.json`; the artefact's sha256 in it is the one that the YAML asks for.
"""

import json
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from models.sources.files import digest, write_atomically

from .job import Job, Made


def manifest(
    job: Job, made: Made, path: Path, source: Mapping[str, str | None], versions: Mapping[str, str], now: datetime
) -> dict[str, Any]:
    """Return the manifest of the artefact at `path`."""
    return {
        "format": 1,
        "file": path.name,
        "kind": job.to,
        "sha256": digest(path),
        "bytes": path.stat().st_size,
        "created": now.isoformat(timespec="seconds"),
        "made": {"how": made.how, "note": made.note},
        "source": dict(source),
        "inputs": [each.model_dump(mode="json", exclude_none=True) for each in job.inputs],
        "outputs": [each.model_dump(mode="json", exclude_none=True) for each in made.outputs],
        "lengths": list(job.lengths),
        "parity": _parity(made),
        "versions": dict(versions),
    }


def write(content: Mapping[str, Any], path: Path) -> Path:
    """Write it beside the artefact and return where."""
    beside = path.with_name(f"{path.name}.manifest.json")
    write_atomically(beside, (json.dumps(content, indent=2) + "\n").encode())
    return beside


def _parity(made: Made) -> dict[str, Any]:
    return {
        "weights_equal": made.tensors,
        "tolerance": made.tolerance,
        "worst": made.worst,
        "cases": [case.model_dump(mode="json") for case in made.cases],
    }
