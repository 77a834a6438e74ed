"""A forward of the known-good row, run on the device thread like any batch. It raises if the device is unhealthy."""

from models.runtime.nan_check import nonfinite_rows
from models.signature import Rows

from ..batching.runner_protocol import RunnerProtocol


class Unhealthy(Exception):  # noqa: N818  # The name says it all.
    """Why a replica should be replaced; for the log and for Serve, never for a client."""


class Probe:
    """Runs one row through a runner. NaN or infinity in its answer counts only if the first answer had none."""

    def __init__(self, runner: RunnerProtocol, row: Rows) -> None:
        self._runner = runner
        self._row = row
        self._was_finite: bool | None = None

    def __call__(self) -> None:
        """Run the row.

        Raises:
            Unhealthy: the answer has NaN or infinity, and the first one had not.
            Exception: whatever the runner raises.
        """
        outputs = self._runner.finish(self._runner.launch(self._runner.stage([self._row])))
        finite = not nonfinite_rows(outputs).any()
        if self._was_finite is None:
            self._was_finite = finite
        elif self._was_finite and not finite:
            raise Unhealthy("the known-good row of the start now gives NaN or infinity")
