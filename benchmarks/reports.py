"""The reports that `pitstop` writes of the bundled models: audit, load, compare and plan --verify, as users give them.

    python -m benchmarks.reports

Writes benchmarks/results/reports_<hardware>_<yyyymm>/ with a folder for each model and index.md, which has the commands
and a line of what each found. A command that fails is named there, and the rest goes on. Under 20 minutes on two cores;
run it on a machine that does nothing else. --quick is a trial on digits alone, into a temporary folder.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import yaml

from pitstop.measure.results import head, stem
from pitstop.plan.serving import ServingError, served

from . import script
from .cache import PROJECT
from .report_index import CommandRun, finding, render
from .report_steps import PORT, SUBJECTS, ReportStep, Subject, steps

_LIMIT_S = 600
_TEXT = (".txt", ".json", ".html", ".yaml", ".md")
_PICTURE = re.compile(r"(data:image/png;base64,[A-Za-z0-9+/=]*)")
Run = Callable[[Sequence[str]], tuple[int, str]]
Say = Callable[[str], object]


def main(arguments: Sequence[str] | None = None) -> None:
    given = list(sys.argv[1:] if arguments is None else arguments)
    options = _arguments(given)
    script.unwind_on_sigterm()
    record = head(["python", "-m", "benchmarks.reports", *given])
    folder = _folder(options, record)
    subjects = SUBJECTS[:1] if options.quick else SUBJECTS
    ran = [(each, tuple(reported(each, folder / each.name, options.quick, run))) for each in subjects]
    (folder / "index.md").write_text(render(record, ran, folder), encoding="utf-8")
    _clean(folder)
    print(f"{folder / 'index.md'}")
    if any(one.failed for _, each in ran for one in each):
        sys.exit(1)


def reported(subject: Subject, folder: Path, quick: bool, run: Run, say: Say = print) -> Iterator[CommandRun]:
    """Run every command of a model, and keep what each prints beside its files."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    shutil.copy(PROJECT / subject.config, folder / "plan.yaml")
    with ExitStack() as stack:
        server = _Server(subject, stack)
        for step in steps(subject, _relative(folder), quick):
            began = time.monotonic()
            found = _attempt(step, server, run)
            found = CommandRun(step, time.monotonic() - began, found.output, found.failed)
            (folder / f"{step.name}.txt").write_text(found.output, encoding="utf-8")
            say(f"{subject.name} {step.name}: {finding(found, folder)}")
            yield found


def run(words: Sequence[str]) -> tuple[int, str]:
    """Run `pitstop` with these words; return its exit status and all that it printed."""
    command = [str(Path(sys.executable).with_name("pitstop")), *words]
    # Tables are cut at the width of the terminal; here there is none.
    environment = {**os.environ, "COLUMNS": "120", "NO_COLOR": "1"}
    done = subprocess.run(
        command, cwd=PROJECT, env=environment, capture_output=True, text=True, check=False, timeout=_LIMIT_S
    )
    return done.returncode, done.stdout + done.stderr


class _Server:
    """The model's server: started for the first command that needs it, ended ahead of the first that does not."""

    def __init__(self, subject: Subject, stack: ExitStack) -> None:
        self._subject = subject
        self._stack = stack
        self._url = ""

    def url(self) -> str:
        if not self._url:
            raw = yaml.safe_load((PROJECT / self._subject.config).read_text(encoding="utf-8"))
            self._url = self._stack.enter_context(served(raw, self._subject.model, lambda _: None))
        return self._url

    def end(self) -> None:
        self._stack.close()
        self._url = ""


def _attempt(step: ReportStep, server: _Server, run: Run) -> CommandRun:
    shown = f"http://127.0.0.1:{PORT}"
    try:
        if not step.served:
            server.end()
            status, output = run(step.words)
        else:
            url = server.url()
            words = [word.replace(shown, url) for word in step.words]
            status, output = run([*words, "--url", url] if step.name == "compare" else words)
            output = output.replace(url, shown)
    except ServingError as error:
        return CommandRun(step, 0, "", f"the server did not start: {str(error).splitlines()[0]}")
    except subprocess.TimeoutExpired:
        return CommandRun(step, 0, "", f"not done after {_LIMIT_S} s")
    last = next((line for line in reversed(output.splitlines()) if line.strip()), "")
    return CommandRun(step, 0, output, "" if status in step.fine else f"exit {status}: {last.strip()}")


def _arguments(given: Sequence[str]) -> argparse.Namespace:
    parser = script.parser("benchmarks.reports", __doc__, out=None)
    parser.add_argument("--quick", action="store_true", help="digits alone, short, into a temporary folder: a trial")
    return parser.parse_args(given)


def _folder(options: argparse.Namespace, record: dict[str, Any]) -> Path:
    above: Path = options.out or (Path(tempfile.mkdtemp(prefix="pit-")) if options.quick else script.RESULTS)
    return above.resolve() / stem("reports", record)


def _relative(folder: Path) -> Path:
    """Return the folder as a command given in the project's root names it."""
    return folder.relative_to(PROJECT) if folder.is_relative_to(PROJECT) else folder


def _clean(folder: Path) -> None:
    """Take this machine's folders out of what is kept; a picture's letters are no path."""
    places = [str(place) for place in (folder.parent, PROJECT, Path.home()) if place != Path("/")]
    for path in folder.rglob("*"):
        if path.suffix in _TEXT:
            parts = _PICTURE.split(path.read_text(encoding="utf-8"))
            path.write_text("".join(_without(places, each) for each in parts), encoding="utf-8")


def _without(places: Sequence[str], text: str) -> str:
    if _PICTURE.match(text):
        return text
    for place in places:
        # Not the beginning of another folder's name.
        text = re.sub(rf"{re.escape(place)}(/|(?![\w.-]))", "", text)
    return text


if __name__ == "__main__":
    main()
