"""A runner whose steps the heartbeat times, each by itself: a batch that runs again one by one does not hang."""

from collections.abc import Callable, Sequence
from typing import TypeVar

from models.runtime.batch import Batch
from models.signature import Rows, Shape

from ..batching.queue import Answer
from ..batching.runner_protocol import RunnerProtocol
from .heartbeat import Heartbeat

T = TypeVar("T")


class TimedRunner:
    """Satisfies RunnerProtocol."""

    def __init__(self, runner: RunnerProtocol, heartbeat: Heartbeat) -> None:
        self._runner = runner
        self._heartbeat = heartbeat
        self.overlaps = runner.overlaps
        self.open_sizes, self.cut = runner.open_sizes, runner.cut

    def shape(self, parts: Sequence[Rows]) -> Shape:
        return self._runner.shape(parts)

    def stage(self, parts: Sequence[Rows]) -> Batch:
        return self._step(self._runner.stage, parts)

    def launch(self, batch: Batch) -> Batch:
        return self._step(self._runner.launch, batch)

    def finish(self, batch: Batch) -> Answer:
        return self._step(self._runner.finish, batch)

    def _step(self, step: Callable[..., T], given: object) -> T:
        self._heartbeat.begin()
        try:
            return step(given)
        finally:
            self._heartbeat.end()
