"""What the batcher needs of a device; local.LocalDevice is one, in this process, and remote.RemoteDevice another."""

from collections.abc import Callable, Sequence
from typing import Protocol

from .batch_result import BatchResult
from .queue import Item


class DeviceProtocol(Protocol):
    """Queues items and hands over what ran. Its methods are called on the event loop."""

    @property
    def limit(self) -> int: ...

    @property
    def waiting_rows(self) -> int: ...

    @property
    def idle(self) -> bool: ...

    def set_limit(self, rows: int) -> None: ...

    def put(self, items: Sequence[Item]) -> None: ...

    def drop_expired(self) -> None: ...

    def listen(self, done: Callable[[BatchResult], None]) -> None: ...
