"""What the user asked `pitstop init` or `pitstop add` for, as the command line gave it."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class InitOptions:
    """The flags, unread. `config` is the file that `pitstop add` extends; `init` writes one of its own."""

    source: str
    weights: str | None = None
    example: tuple[str, ...] = ()
    name: str | None = None
    to: Path | None = None
    arguments: tuple[str, ...] = ()
    inputs: tuple[str, ...] = ()
    tokenizer: str | None = None
    task: str | None = None
    normalize: str | None = None
    force: bool = False
    config: Path | None = None
