"""What the device's threads need of a runner.

models.runtime.runner.Runner is one, health.timed_runner.TimedRunner another.
"""

from collections.abc import Sequence
from typing import Protocol

from models.runtime.batch import Batch
from models.signature import Rows

from .queue import Answer, Part


class RunnerProtocol(Protocol):
    """Runs a batch in three steps.

    `overlaps`: one may be staged while another runs. `open_inputs`: the names of the inputs whose length differs
    between rows.
    """

    overlaps: bool
    open_inputs: tuple[str, ...]

    def shape(self, parts: Sequence[Rows]) -> tuple[int, int]: ...

    def stage(self, parts: Sequence[Rows]) -> Batch: ...

    def launch(self, batch: Batch) -> Batch: ...

    def finish(self, batch: Batch) -> Answer: ...


def stage(runner: RunnerProtocol, parts: Sequence[Part]) -> Batch:
    """Stage parts that share a batch. One with a seed shares it with no other."""
    batch = runner.stage([part.arrays for part in parts])
    batch.seed = parts[0].item.seed
    return batch
