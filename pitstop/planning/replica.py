"""A simulated replica's queue: which requests wait, which are held for company, and which the next forward takes."""

from collections import deque
from dataclasses import dataclass, field


@dataclass(slots=True, eq=False)
class Request:
    """`missing` rows have not been taken by any forward yet."""

    arrived_ms: float
    rows: int
    missing: int
    latency_ms: float = 0.0


@dataclass(slots=True, eq=False)
class Replica:
    """One replica at one moment. `rows` wait and are not held.

    `groups` counts those closed, so that a late timer finds out that it is too late.
    """

    waiting: deque[Request] = field(default_factory=deque)
    rows: int = 0
    held: list[Request] = field(default_factory=list)
    running: list[Request] = field(default_factory=list)
    groups: int = 0
    ongoing: int = 0
    asked: int = 0
    loop_free_ms: float = 0.0

    def close_group(self) -> None:
        """Let those that were held for company go to the device."""
        for request in self.held:
            self.wait(request)
        self.held = []
        self.groups += 1

    def wait(self, request: Request) -> None:
        """Let a request wait for the device."""
        self.waiting.append(request)
        self.rows += request.missing

    def take(self, limit: int) -> tuple[list[Request], int]:
        """Take the next batch as deployments.batching.queue.Waiting does; return its requests and its rows."""
        taken, room = [], limit
        while self.waiting:
            request = self.waiting[0]
            if request.missing > room and (room == 0 or request.rows <= limit):
                break
            count = min(request.missing, room)
            request.missing -= count
            room -= count
            taken.append(request)
            if request.missing == 0:
                self.waiting.popleft()
        self.rows -= limit - room
        return taken, limit - room
