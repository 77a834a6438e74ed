"""What `pitstop run` writes to the terminal. Ray's log is in a file of its own."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from rich.console import Console

from .ready import Ready

_MOST_LINES = 6


class Screen:
    """The terminal of one run."""

    def __init__(self, console: Console, log: Path, config: Path) -> None:
        self._console, self._log, self._config = console, log, config
        self.failed = False

    def starts(self) -> None:
        self.say(f"{self._config}: starts. Ray's log: {self._log}")

    def say(self, text: str) -> None:
        self._console.print(text)

    def waits(self, lines: Iterable[str]) -> None:
        for line in lines:
            self._console.print(f"… {line}", style="dim")

    def ready(self, found: Ready) -> None:
        self._console.print(found.line, style="green")
        for line in found.details:
            self._console.print(f"  {line}", style="yellow")

    def warns(self, text: str) -> None:
        self._console.print(text, style="yellow")

    def fails(self, name: str, message: str) -> None:
        self.failed = True
        self._console.print(f"✗ {name}: {sentence(message, self._log, self._config)}", style="red")

    def summary(self, url: str, ready: Sequence[Ready], failed: Sequence[str], late: Sequence[str] = ()) -> None:
        """Say what serves, with a request to try for each, and what does not, or not yet, for want of room."""
        without = f" Not served: {', '.join(failed)}." if failed else ""
        without += f" Waiting for room: {', '.join(late)}." if late else ""
        if not ready:
            # One that waits may still start.
            self._console.print(f"{'' if late else 'No model started.'}{without}".lstrip(), style="bold red")
            return
        self._console.print(f"Ready at {url}: {', '.join(each.name for each in ready)}.{without} Ctrl-C stops it.")
        for each in ready:
            self.request(each)

    def request(self, found: Ready) -> None:
        if found.curl:
            self.say(f"  {found.curl}")

    def ended(self, status: int) -> None:
        self._console.print(
            f"The server ended with exit status {status}\nhelp: its log says why: {self._log}", style="red"
        )


def sentence(message: str, log: Path, config: Path) -> str:
    """Return our own message as it is; of a traceback only its last line, and where the rest is."""
    lines = [line.rstrip() for line in message.splitlines() if line.strip()]
    if not lines:
        return f"failed, and Serve gives no reason\nhelp: see {log}"
    if "ActorDiedError" in lines[-1]:  # Serve has no more than this: the process said nothing.
        return f"its process died while it started\nhelp: pitstop check {config} --load says how; Ray's log is {log}"
    if len(lines) <= _MOST_LINES and "Traceback" not in message:
        return "\n".join(lines)
    return f"{lines[-1].strip()}\nhelp: the traceback is in {log}"
