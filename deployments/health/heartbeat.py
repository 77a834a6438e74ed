"""How long the device's steps and the event loop have not responded. Pure: its clock is passed in.

The clock advances only when the watchdog runs, and by a bounded step: a process that was stopped, or a machine that
slept, counts as a short pause and never as a device that hangs.
"""

import threading


class Heartbeat:
    """The open steps of every thread, and the event loop's last beat, in seconds on a clock of its own."""

    def __init__(self) -> None:
        self._time_s = 0.0
        self._beat_s = 0.0
        self._steps: dict[int, float] = {}

    def advance(self, elapsed_s: float, most_s: float) -> None:
        """Advance the clock, by at most `most_s`."""
        self._time_s += min(elapsed_s, most_s)

    def begin(self) -> None:
        """A step of the device began on this thread."""
        self._steps[threading.get_ident()] = self._time_s

    def end(self) -> None:
        """The step of this thread ended."""
        self._steps.pop(threading.get_ident(), None)

    def beat(self) -> None:
        """The event loop is alive."""
        self._beat_s = self._time_s

    @property
    def step_s(self) -> float:
        """How long the oldest open step has been open; 0 if there is none."""
        return self._time_s - min(list(self._steps.values()), default=self._time_s)

    @property
    def loop_s(self) -> float:
        """How long ago the event loop last had its turn."""
        return self._time_s - self._beat_s
