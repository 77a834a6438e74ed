"""`pitstop export`: a checkpoint, a trusted pickle, a configured model or a TorchServe archive, made fit to be served.

Nothing is left at DEST unless it was read back and answered fresh inputs as its source does.
"""

import tempfile
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console

from configs.problems import ConfigError
from models.errors import ModelError
from models.sources.urls import shown

from ..measure.hardware import versions
from ..report.terminal import plain_console
from . import signature_flags
from .job import Job, Made
from .options import ExportOptions
from .origin import job_of

__all__ = ["ExportOptions", "export"]

DONE, UNUSABLE = 0, 2
_WARNING = (
    "warning: {} may be a pickle, and loading a pickle runs its author's code; "
    "it runs in a subprocess, with your rights: do this only with files that you trust"
)


def export(options: ExportOptions, console: Console | None = None) -> int:
    """Export, show what was made, and return the exit status."""
    console = console or plain_console(markup=False, soft_wrap=True)
    try:
        if options.mar is not None:
            from .mar_import import bring

            bring(options, console)
            return DONE
        return _export(options, console)
    except (ConfigError, ModelError) as error:
        console.print(str(error), style="red")
    except OSError as error:
        console.print(f"{error.filename or options.dest}: {error.strerror or error}", style="red")
        console.print("help: check that the folder exists, has room, and may be written to", style="red")
    return UNUSABLE


def _export(options: ExportOptions, console: Console) -> int:
    if options.dest.exists() and not options.force:
        raise ModelError(f"{options.dest}: exists\nhelp: choose another name, or overwrite it with --force")
    # Beside its place and with its ending: readers go by it, and a rename must not cross disks.
    options.dest.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=options.dest.parent, prefix=".part-") as folder:
        job = job_of(options, Path(folder).resolve() / options.dest.name)
        if job.trusted:
            console.print(_WARNING.format(shown(str(job.file))), style="yellow")
        try:
            made = _make(job)
        except ModelError as error:
            said = str(error) if options.config is not None else signature_flags.said(error)
            raise ModelError(said.replace(f"{job.dest}: ", f"{options.dest}: ")) from error
        Path(job.dest).replace(options.dest)
    _show(options, job, made, console)
    return DONE


def _make(job: Job) -> Made:
    if job.trusted:
        from .subprocess_unpickle import run

        return run(job)
    # torch takes seconds to import; --help and a misspelt flag need not wait for it.
    from models.sources import source

    from . import artefact, checkpoint

    if job.source is not None:
        config = job.source
        return artefact.make(job, checkpoint.plainly(lambda: source.load(config), job.file))
    return artefact.make(job, checkpoint.read(str(job.file)))


def _show(options: ExportOptions, job: Job, made: Made, console: Console) -> None:
    from models.sources.files import digest, fetch

    from . import manifest, yaml_lines

    source = {"file": shown(job.file) if job.file else None, "sha256": digest(fetch(job.file)) if job.file else None}
    source["factory"] = job.source.factory if job.source is not None else made.factory
    content = manifest.manifest(job, made, options.dest, source, versions(), datetime.now(UTC))
    beside = manifest.write(content, options.dest)
    args = yaml_lines.args_of(job, made, str(options.dest), content["sha256"])
    lines = yaml_lines.dump(args)
    console.print(f"{options.dest}: {job.to} ({made.how}), {content['bytes']:,} bytes", style="green")
    for line in [*_parity(made), f"manifest: {beside}"]:
        console.print(line)
    if made.note:
        console.print(f"note: {made.note}", style="yellow")
    elif job.to == "safetensors" and made.factory is None:
        console.print("note: put the network's own factory in place of path/to/file.py:callable", style="yellow")
    if options.yaml is not None:
        options.yaml.write_text(lines, encoding="utf-8")
    console.print(
        f"\nPaste into the application's args{f' (also in {options.yaml})' if options.yaml else ''}:\n\n{lines}"
    )


def _parity(made: Made) -> list[str]:
    found = []
    if made.tensors:
        found.append(f"weights: {made.tensors} tensors, each the same as in the source, bit by bit")
    if made.cases:
        rows = sorted({case.rows for case in made.cases})
        found.append(
            f"parity: off its source by at most {made.worst:.1e} ({made.tolerance:.0e} allowed), "
            f"over {len(made.cases)} fresh batches of {rows[0]} to {rows[-1]} rows"
        )
    return found
