"""One run from its start to its end: a loop that takes what the server tells, signals, and changes of files."""

import queue
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rich.console import Console

from configs.loader import Deployment

from .progress import Progress
from .ready import Ready, address, asked
from .reloader import Reloader
from .screen import Screen
from .server import Server
from .states import News, State, news, own_pages, states
from .stop import Stop

LOG = "ray.log"
_TICK_S = 0.2
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_FAILED = 1


class Session:
    """A run: what is served, how far each model is, and whether it ends."""

    def __init__(self, deployment: Deployment, folder: Path, console: Console, reload: bool, verbose: bool) -> None:
        self._deployment, self._folder, self._verbose = deployment, folder, verbose
        self._console, self._log = console, folder / LOG
        self._screen = Screen(console, self._log, deployment.path)
        self._events: queue.SimpleQueue[tuple[str, Any]] = queue.SimpleQueue()
        self._progress = Progress(time.monotonic())
        # A change of the port takes another start.
        self._url = address(deployment.raw)
        self._states: dict[str, State] = {}
        self._ready: dict[str, Ready] = {}
        self._failed: set[str] = set()
        # Those that waited for room when the others were ready.
        self._late: set[str] = set()
        # Nothing is on its way any more, but for room; the summary was said.
        self._settled = self._told = self._told_late = False
        self._began = self._shared = False
        self._stop: Stop | None = None
        # What it ends with once it has stopped; and once it has ended.
        self._stopped_code = 0
        self._code: int | None = None
        self._reloader = Reloader(deployment, folder, self._events.put, self._screen, console) if reload else None

    @property
    def has_told_a_failure(self) -> bool:
        """Whether the terminal has an error, for which the log may be needed."""
        return self._screen.failed

    def run(self) -> int:
        """Serve until the end; return the exit status. No process is left then."""
        self._screen.starts()
        self._progress.at("Ray", "starts", time.monotonic())
        with self._log.open("w", encoding="utf-8", buffering=1) as log, self._signals():
            self._server = Server(
                self._deployment.path.absolute(), self._events.put, lambda line: self._heard(log, line)
            )
            try:
                while self._code is None:
                    self._turn()
            finally:
                self._server.kill()
        return self._code

    def _turn(self) -> None:
        try:
            kind, content = self._events.get(timeout=_TICK_S)
        except queue.Empty:
            pass
        else:
            # By the event's kind: _on_ray, _on_apps, …
            getattr(self, f"_on_{kind}")(content)
        now_s = time.monotonic()
        if self._stop is not None:
            if self._stop.over(now_s):
                self._code = self._stopped_code
            return
        self._screen.waits(self._progress.due(now_s))
        if self._settled and self._reloader is not None:
            self._reloader.look()

    @contextmanager
    def _signals(self) -> Iterator[None]:
        # SimpleQueue.put may run inside any other call, as a handler does.
        def put(number: int, _frame: object) -> None:
            self._events.put(("signal", number))

        # Under nohup a server outlives its terminal.
        ours = [each for each in _SIGNALS if each != signal.SIGHUP or signal.getsignal(each) != signal.SIG_IGN]
        before = {each: signal.signal(each, put) for each in ours}
        try:
            yield
        finally:
            for each, handler in before.items():
                signal.signal(each, handler)

    def _heard(self, log: Any, line: str) -> None:
        log.write(line)
        self._progress.heard(line)
        if self._verbose:
            self._console.out(line.rstrip("\n"), highlight=False)

    def _on_ray(self, dashboard: str) -> None:
        if dashboard:
            self._screen.say(dashboard)
        self._shared = not self._server.has_own_ray()
        self._progress.done("Ray")
        self._progress.at("Serve", "starts", time.monotonic())

    def _on_deployed(self, _config: str) -> None:
        self._progress.done("Serve")

    def _on_refused(self, message: str) -> None:
        self._screen.fails(str(self._deployment.path), message)
        if not self._told:
            self._end(_FAILED)

    def _on_apps(self, told: list[dict[str, Any]]) -> None:
        before, self._states = self._states, states(told)
        for name, state in self._states.items():
            if state.settled or state.failed:
                self._progress.done(name)
            else:
                self._progress.at(name, state.message.partition("\n")[0] or "Ray starts its process", time.monotonic())
        for each in news(before, self._states):
            self._tell(each)
        for name in set(self._ready) - set(self._states):
            self._screen.say(f"{name} is not served any more")
            del self._ready[name]
        self._failed &= set(self._states)
        self._summarize()

    def _tell(self, new: News) -> None:
        self._failed -= {new.name}
        if new.kind == "no_room":
            self._screen.warns(f"! {new.name}: {new.message}")
        elif new.kind == "kept":
            self._screen.fails(new.name, new.message)
            self._screen.warns(f"  {new.name}: the version from before goes on serving")
        elif new.kind == "failed":
            self._failed.add(new.name)
            self._ready.pop(new.name, None)
            self._screen.fails(new.name, new.message)
        elif (app := next((each for each in self._deployment.models if each.name == new.name), None)) is not None:
            self._began = True
            if self._states[app.name].replicas == 0:
                self._events.put(("asked", Ready(app.name, f"{app.name}  scaled to zero: its first request starts it")))
                return
            work = lambda: self._events.put(("asked", asked(app, self._url, self._folder, time.sleep)))  # noqa: E731
            threading.Thread(target=work, daemon=True).start()
        elif new.name not in own_pages(self._deployment.raw):
            # An application of the user's own: it has no metadata to ask for.
            self._began = True
            self._events.put(("asked", Ready(new.name, f"{new.name}  is ready, an application of your own")))

    def _on_asked(self, found: Ready) -> None:
        self._ready[found.name] = found
        self._screen.ready(found)
        if found.name in self._late:
            self._late.remove(found.name)
            self._screen.request(found)
        self._summarize()

    def _summarize(self) -> None:
        """Say what serves, once every model is ready, has failed or waits for room; end where all have failed."""
        expected = {str(app.get("name")) for app in self._deployment.raw["applications"]}
        models = expected - own_pages(self._deployment.raw)
        without_room = {name for name, state in self._states.items() if state.no_room}
        settled = {name for name, state in self._states.items() if state.settled or state.failed} | without_room
        ready = [self._ready[name] for name in self._states if name in self._ready]
        late = without_room - set(self._ready)
        if self._told or not expected <= settled or not models <= self._failed | set(self._ready) | late:
            return
        self._settled = True
        if late and not ready:
            # Not the last word: these may still start, or fail.
            if self._failed and not self._told_late:
                self._told_late = True
                self._screen.summary(self._url, ready, sorted(self._failed), sorted(late))
            return
        self._told, self._late = True, late
        self._screen.summary(self._url, ready, sorted(self._failed), sorted(late))
        if models and not ready:
            self._end(_FAILED)

    def _on_opened(self, content: Any) -> None:
        if self._stop is None and self._reloader is not None and (found := self._reloader.opened(content)) is not None:
            self._deployment, config = found
            self._server.send(f"deploy {config}")

    def _on_signal(self, number: int) -> None:
        if self._stop is not None:
            self._code = 128 + number
            return
        if self._began:
            self._screen.say("Stops: requests in progress are answered. Once more to end at once.")
        self._end(0)

    def _end(self, code: int) -> None:
        """End; at once where no request can be in progress, unless Serve would go on in a cluster of others."""
        if self._stop is None and (self._began or self._shared):
            self._stopped_code = code
            self._stop = Stop(self._deployment.raw, self._server.haproxies, time.monotonic())
            self._server.send("stop")
        else:
            self._code = code

    def _on_ended(self, status: int) -> None:
        if self._stop is None:
            self._screen.ended(status)
        self._code = _FAILED if self._stop is None else self._stopped_code
