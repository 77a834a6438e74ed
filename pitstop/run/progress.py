"""What is on its way while a server starts, said only where it takes longer than a few seconds. No clock of its own."""

import re

from ..isolated_server import plain

_QUIET_S, _AGAIN_S = 3.0, 5.0
# `(ServeReplica:digits:Model pid=14043) INFO pitstop: digits: warms 7 shapes`, as Ray writes what a replica logs.
_REPLICA = re.compile(r"\(ServeReplica:(?P<app>.+?):\w+ pid=[^)]*\) INFO pitstop: (?P<text>\S.*)")


class Progress:
    """The step at which each of the things is that a start waits for."""

    def __init__(self, now_s: float) -> None:
        self._steps: dict[str, str] = {}
        self._since: dict[str, float] = {}
        self._said: dict[str, str] = {}
        self._next_s = now_s + _QUIET_S

    def at(self, name: str, step: str, now_s: float) -> None:
        """Say at which step something is."""
        self._since.setdefault(name, now_s)
        self._steps[name] = step

    def done(self, name: str) -> None:
        for each in (self._steps, self._since, self._said):
            each.pop(name, None)

    def heard(self, line: str) -> None:
        """Take a line of Ray's log: what a replica has written is the step at which its model is."""
        found = _REPLICA.search(plain(line))
        if found is not None and found["app"] in self._steps:
            self._steps[found["app"]] = found["text"].removeprefix(f"{found['app']}: ").strip()

    def due(self, now_s: float) -> list[str]:
        """Return the lines to show now: of each step that has changed, after a few seconds without a line."""
        if now_s < self._next_s:
            return []
        self._next_s = now_s + _AGAIN_S
        late = {
            name: step
            for name, step in self._steps.items()
            if step != self._said.get(name) and now_s - self._since[name] >= _QUIET_S
        }
        self._said |= late
        return [f"{name}: {step} ({now_s - self._since[name]:.0f} s)" for name, step in late.items()]
