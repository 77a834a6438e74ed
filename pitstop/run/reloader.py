"""`--reload`: what has changed is checked and opened, and then deployed; the old version serves until then."""

import importlib
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from rich.console import Console

from configs.loader import Deployment

from ..check.load_models import Opened, open_models
from .checking import checked
from .redeploy import Versions, touched
from .screen import Screen
from .sources import Sources, wrong_syntax

_LOOK_EVERY_S = 0.5
_OPEN_S = 600.0
# A config, and what came of opening its models.
Found = tuple[Deployment, list[Opened]]
_STAYS = "The version from before goes on serving."


class Reloader:
    """Looks at the files of a config, and says what to deploy."""

    def __init__(
        self,
        deployment: Deployment,
        folder: Path,
        put: Callable[[tuple[str, Any]], object],
        screen: Screen,
        console: Console,
    ) -> None:
        self._deployment, self._put, self._screen, self._console = deployment, put, screen, console
        self._sources = Sources(deployment.path, deployment.raw)
        self._versions = Versions(folder)
        self._next_s = 0.0
        self._busy = False

    def look(self) -> None:
        """Have what has changed checked and opened, in a thread whose end is the event `opened`."""
        if self._busy or time.monotonic() < self._next_s:
            return
        self._next_s = time.monotonic() + _LOOK_EVERY_S
        if files := self._sources.changed():
            self._screen.say(f"Changed: {', '.join(sorted(each.name for each in files))}. It is checked.")
            self._busy = True
            threading.Thread(target=self._examine, args=(files,), daemon=True).start()

    def opened(self, found: Found | None) -> tuple[Deployment, Path] | None:
        """Take what came of it; return what is served from now on, and the config to deploy."""
        self._busy = False
        if found is None:
            return None
        deployment, models = found
        for each in models:
            if not each.ok:
                self._screen.fails(each.name, each.text)
        if not all(each.ok for each in models):
            self._screen.say(_STAYS)
            return None
        code = self._sources.code()
        change = touched(self._deployment.raw, deployment.raw, code)
        path = self._versions.write(deployment.raw, code)
        self._deployment = deployment
        self._sources.deployed()
        self._screen.say(f"Deploys {', '.join(sorted(change.applications))}.")
        return deployment, path

    def _examine(self, files: set[Path]) -> None:
        found = None
        try:
            found = self._found(files)
        finally:
            self._put(("opened", found))

    def _found(self, files: set[Path]) -> Found | None:
        """Check the config and the files, and open the models that start again; None where nothing is to deploy."""
        importlib.invalidate_caches()
        _, deployment = checked(self._deployment.path, self._console)
        wrong = wrong_syntax(files)
        for each in wrong:
            self._screen.warns(each)
        self._sources.look(None if deployment is None else deployment.raw)
        if deployment is None or wrong:
            self._screen.say(_STAYS)
            return None
        change = touched(self._deployment.raw, deployment.raw, self._sources.code())
        if change.server_keys:
            keys = ", ".join(sorted(change.server_keys))
            self._screen.warns(f"{keys}: takes effect at the next start of `pitstop run`")
        if not change.applications:
            self._screen.say("What is deployed is the same.")
            return None
        names = sorted(change.restarts)
        return deployment, [each for name in names for each in open_models(deployment, name, _OPEN_S)]
