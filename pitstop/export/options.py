"""What the user asked `pitstop export` for, as the command line gave it."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class ExportOptions:
    """The flags, unread. `source` is a file or URL, `mar` a TorchServe archive; `config` names a served model.

    `name` is that of an archive's model, if not its own.
    """

    dest: Path
    source: str | None = None
    to: str | None = None
    factory: str | None = None
    kwargs: tuple[str, ...] = ()
    inputs: tuple[str, ...] = ()
    outputs: tuple[str, ...] = ()
    lengths: str | None = None
    config: Path | None = None
    model: str | None = None
    mar: Path | None = None
    ts_config: Path | None = None
    name: str | None = None
    trust_pickle: bool = False
    yaml: Path | None = None
    force: bool = False
