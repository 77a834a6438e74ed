"""A forward of the known-good row, run on the device thread like any batch. It raises where the device is not well."""

from models.runtime.nan_check import rows_off
from models.signature import Rows

from ..batching.runner_protocol import RunnerProtocol


class Unhealthy(Exception):  # noqa: N818  # What it says is the whole of it.
    """Why a replica should be replaced; for the log and for Serve, never for a client."""


class Probe:
    """Sends one row through a runner; counts as its answer only what was finite the first time, if it was."""

    def __init__(self, runner: RunnerProtocol, row: Rows) -> None:
        self._runner = runner
        self._row = row
        self._was_finite: bool | None = None

    def __call__(self) -> None:
        """Run the row.

        Raises:
            Unhealthy: it gives NaN or infinity, and did not at first.
            Exception: whatever the runner raises.
        """
        outputs = self._runner.finish(self._runner.launch(self._runner.stage([self._row])))
        finite = not rows_off(outputs).any()
        if self._was_finite is None:
            self._was_finite = finite
        elif self._was_finite and not finite:
            raise Unhealthy("the known-good row of the start now gives NaN or infinity")
