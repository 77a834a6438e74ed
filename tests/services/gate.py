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
    """As Slow, but once the file `slowly` exists a forward makes the file `begun` and takes seconds."""

    def __init__(self, slowly: str, begun: str, seconds: float = 3) -> None:
        super().__init__(ms=1)
        self.slowly, self.begun, self.seconds = slowly, begun, seconds

    def forward(self, x: Tensor) -> Tensor:
        """Map x [n, 1] to 2 * x."""
        if Path(self.slowly).exists():
            Path(self.begun).touch()
            time.sleep(self.seconds)
        return super().forward(x)
