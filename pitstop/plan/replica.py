"""A simulated replica: the server's own queue and policy, and what stands around them."""

import math
from dataclasses import dataclass, field

from deployments.batching.queue import Answer, Item, Part, Waiting


@dataclass(slots=True, eq=False)
class SimulatedReplica:
    """One replica at one moment.

    `held` are those that `@serve.batch` gathers; `groups` counts its groups that are closed, so that a late timer finds
    out that it is too late.
    """

    waiting: Waiting
    held: list[Item] = field(default_factory=list)
    running: list[Part] = field(default_factory=list)
    groups: int = 0
    ongoing: int = 0
    asked: int = 0
    loop_free_ms: float = 0.0

    def close_group(self) -> None:
        """Let those that were held go to the device."""
        for item in self.held:
            self.waiting.append(item)
        self.held = []
        self.groups += 1


def new_request(rows: int, whole: bool = False) -> Item:
    """Return a request whose rows are all of one shape, and which nobody gives up."""
    return Item({}, rows, 0.0, math.inf, _nobody, whole=whole)


def _nobody(_: Answer | Exception) -> None:
    """The simulation itself notes who is answered."""
