"""`pitstop run`: asks for the ports and checks the config before Ray starts, then hands over to the session."""

import shutil
import sys
import tempfile
from pathlib import Path

from configs.document import read
from configs.problems import ConfigError

from ..check.main import PROBLEMS
from ..check.ports_in_use import taken
from ..report.terminal import LastingOutput, plain_console
from .checking import checked


def serve(config: Path, reload: bool, verbose: bool) -> int:
    """Serve a config until a signal; return the exit status."""
    # A run that loses its terminal still answers what is in progress.
    console = plain_console(markup=False, soft_wrap=True, file=LastingOutput(sys.stdout))
    # Asked first: it takes a fraction of the time of the check.
    if held := _taken(config):
        console.print(f"{config}: {held}", style="red")
        return PROBLEMS
    status, deployment = checked(config, console)
    if deployment is None:
        return status
    from .session import LOG, Session

    folder = Path(tempfile.mkdtemp(prefix="pitstop-run-"))
    session = Session(deployment, folder, console, reload, verbose)
    status = session.run()
    if status == 0 and not session.has_told_a_failure:
        shutil.rmtree(folder, ignore_errors=True)
    else:
        console.print(f"Ray's log is kept: {folder / LOG}")
    return status


def _taken(config: Path) -> str:
    try:
        return taken(read(config).raw)
    except ConfigError:  # The check tells of it.
        return ""
