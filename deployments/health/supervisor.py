"""Puts together what watches one replica: heartbeat, watchdog, health and memory limit."""

import asyncio
from typing import TYPE_CHECKING

from configs.schema import Tunables
from models.startup.known_good_row import known_good_row

from ..batching.batching import Batcher
from ..batching.local import LocalDevice
from ..batching.memory_limit import MemoryLimit
from ..core.errors import Unavailable
from .health import Health
from .heartbeat import Heartbeat
from .probe import Probe
from .process_terminator import ProcessTerminator
from .timed_runner import TimedRunner
from .watchdog import Watchdog

if TYPE_CHECKING:
    from models.startup.open_model import OpenedModel

# A forward that takes this many times as long as the slowest at the start hangs.
_SLOWEST = 10


class LoopSupervisor:
    """Watches the event loop of a replica without a device."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self.heartbeat = Heartbeat()
        self._least_s = 0.0

    def watch(self, name: str, batcher: Batcher) -> None:
        """Begin. When the process ends, the log has `name`, and the requests that wait in `batcher` get an error."""
        self._batcher = batcher
        self.end = ProcessTerminator(name, self._loop, self._refuse_all)
        self._watchdog = Watchdog(self.heartbeat, self._loop, self.hang_s, self.end)
        self._watchdog.start()

    def hang_s(self) -> float:
        tunables = self._batcher.tunables
        return tunables.forward_timeout_s or max(tunables.hang_after_s, self._least_s)

    def _refuse_all(self) -> None:
        self._batcher.end_all(self._unavailable())

    def _unavailable(self) -> Unavailable:
        return Unavailable(self._batcher.tunables.retry_after_s)


class Supervisor(LoopSupervisor):
    """Watches the device and the model too; the device must use its `runner` and its `memory_limit`."""

    def __init__(self, served: "OpenedModel") -> None:
        super().__init__()
        self._served = served
        self._least_s = _SLOWEST * max(served.forward_ms.values(), default=0.0) / 1000
        self.runner = TimedRunner(served.runner, self.heartbeat)
        self.memory_limit = MemoryLimit(served.runner.layout.sizes)

    def watch_device(self, name: str, batcher: Batcher, device: LocalDevice) -> None:
        """Begin, with probes through this device."""
        self.watch(name, batcher)
        probe = Probe(self.runner, known_good_row(self._served))
        self.health = Health(lambda: device.call(probe), self.hang_s, self.memory_limit, self._set_closed, self.end)

    def reconfigure(self, tunables: Tunables) -> None:
        """Take new tunables; rows that once did not fit are tried again."""
        self.memory_limit.forget()
        self._served.runner.check_finite = tunables.check_finite

    def _set_closed(self, closed: bool) -> None:
        if not self.end.begun:
            self._batcher.closed = self._unavailable() if closed else None
