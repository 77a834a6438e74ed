"""What the device's threads need of a runner.

models.runtime.runner.Runner is one, health.timed_runner.TimedRunner another.
"""

from collections.abc import Sequence
from typing import Protocol

from models.runtime.batch import Batch
from models.runtime.dims import Cut, OpenSizes
from models.signature import Rows, Shape

from .queue import Answer, Part


class RunnerProtocol(Protocol):
    """Runs a batch in three steps.

    `overlaps`: one may be staged while another runs. `open_sizes`: reads the sizes in which rows differ. `cut`: takes
    the padding out of answers, where any size is open.
    """

    overlaps: bool
    open_sizes: OpenSizes
    cut: Cut | None

    def shape(self, parts: Sequence[Rows]) -> Shape: ...

    def stage(self, parts: Sequence[Rows]) -> Batch: ...

    def launch(self, batch: Batch) -> Batch: ...

    def finish(self, batch: Batch) -> Answer: ...


def stage(runner: RunnerProtocol, parts: Sequence[Part]) -> Batch:
    """Stage parts that share a batch. One with a seed shares it with no other."""
    batch = runner.stage([part.arrays for part in parts])
    batch.seed = parts[0].item.seed
    return batch
