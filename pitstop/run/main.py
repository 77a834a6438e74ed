"""`pitstop run`: asks for the ports and checks the config before Ray starts, then hands over to the session."""

import tempfile
from pathlib import Path

from configs.document import read
from configs.problems import ConfigError

from ..check.main import PROBLEMS
from ..check.ports_in_use import taken
from ..report.terminal import plain_console
from .checking import checked


def serve(config: Path, reload: bool, verbose: bool) -> int:
    """Serve a config until a signal; return the exit status."""
    console = plain_console(markup=False, soft_wrap=True)
    # Asked first: it takes a fraction of the time of the check.
    if held := _taken(config):
        console.print(f"{config}: {held}", style="red")
        return PROBLEMS
    status, deployment = checked(config, console)
    if deployment is None:
        return status
    from .session import Session

    return Session(deployment, Path(tempfile.mkdtemp(prefix="pitstop-run-")), console, reload, verbose).run()


def _taken(config: Path) -> str:
    try:
        return taken(read(config).raw)
    except ConfigError:  # The check tells of it.
        return ""
