"""Files of results: what was found, under a head that says by which command, where, with what and when."""

import json
import math
import os
import shlex
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from .hardware import commit, hardware, versions

# The file that `--json -` names.
STDOUT = Path("-")


def head(command: Sequence[str], gpu: bool = False) -> dict[str, Any]:
    """Return what a reader must know to judge figures. Taken ahead of the measuring, which takes its time.

    Args:
        command: the words that repeat it.
        gpu: whether it is measured on a GPU.
    """
    return {
        "command": shlex.join(command),
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": commit(),
        "hardware": hardware(gpu).as_json(),
        "versions": versions(),
        "load_average": list(os.getloadavg()),
    }


def told(record: Mapping[str, Any]) -> str:
    """Return the head of a record in a line of Markdown, but for its command."""
    machine = record["hardware"]
    memory = f"{machine['memory_gib']:g} GiB" if "memory_gib" in machine else None
    vector = f" with {'/'.join(machine['vector'])}" if machine.get("vector") else ""
    parts = (
        machine.get("gpu"),
        f"{machine['cpu']}{vector}",
        f"{machine['cores']} cores",
        memory,
        machine.get("system"),
    )
    found = ", ".join(f"{name} {version}" for name, version in record["versions"].items())
    load = f"; load average before: {record['load_average'][0]:.1f}" if record["load_average"] else ""
    return f"{', '.join(filter(None, parts))}; {found}; commit {record['commit']}; {record['date']}{load}."


def stem(theme: str, record: Mapping[str, Any]) -> str:
    """Return <theme>_<hardware>_<yyyymm>, the name of a record's files without their endings."""
    return f"{theme}_{record['hardware']['slug']}_{record['date'][:4]}{record['date'][5:7]}"


def write(
    folder: Path, name: str, record: Mapping[str, Any], markdown: str | None = None, png: bytes | None = None
) -> Path:
    """Write a record as JSON, and what shows it beside that; return the JSON's path."""
    folder.mkdir(parents=True, exist_ok=True)
    # Not with_suffix: a name may have dots.
    path = folder / f"{name}.json"
    path.write_text(text(record), encoding="utf-8")
    if markdown is not None:
        (folder / f"{name}.md").write_text(markdown.rstrip() + "\n", encoding="utf-8")
    if png is not None:
        (folder / f"{name}.png").write_bytes(png)
    return path


def write_to(path: Path, record: Any) -> None:
    """Write a record to the file that a user named; raise OSError where it cannot be written."""
    if path == STDOUT:
        print(text(record), end="")
    else:
        path.write_text(text(record), encoding="utf-8")


def text(record: Any) -> str:
    """Return a record as JSON, which has no NaN: what is not finite becomes null."""
    return json.dumps(finite(record), indent=1) + "\n"


def finite(content: Any) -> Any:
    """Return the same with null, None, in the place of what is no number to JSON."""
    if isinstance(content, float):
        return content if math.isfinite(content) else None
    if isinstance(content, dict):
        return {key: finite(each) for key, each in content.items()}
    if isinstance(content, list | tuple):
        return [finite(each) for each in content]
    return content
