"""What the device's threads need of a runner: models.runtime.runner.Runner is one, health.timed_runner.Watched too."""

from collections.abc import Sequence
from typing import Protocol

from models.runtime.batch import Batch
from models.signature import Rows

from .queue import Answer


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
