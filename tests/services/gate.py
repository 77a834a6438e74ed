"""A model that loads for as long as a file is not there, so that a test decides when it is up."""

import time
from pathlib import Path

from torch import Tensor

from tests.services.slow import Slow


class Gate(Slow):
    """As Slow, once the file `opened` exists."""

    def __init__(self, opened: str, ms: float = 1) -> None:
        super().__init__(ms)
        while not Path(opened).exists():
            time.sleep(0.05)


class Begun(Slow):
    """As Slow, and each forward makes the file `begun` before it begins."""

    def __init__(self, begun: str, ms: float = 3000) -> None:
        super().__init__(ms)
        self.begun = begun

    def forward(self, x: Tensor) -> Tensor:
        """Map x [n, 1] to 2 * x."""
        Path(self.begun).touch()
        return super().forward(x)
