"""Rows that the model answered at the start: if it fails later, the device is at fault, not the input."""

from typing import TYPE_CHECKING

from ..runtime.dims import all_sizes
from ..signature import Array

if TYPE_CHECKING:
    from .open_model import OpenedModel


def known_good_row(served: "OpenedModel") -> dict[str, Array]:
    """Return a row for the runner, or the smallest warmed batch of rows that belong together."""
    layout = served.runner.layout
    rows = layout.sizes[0] if layout.whole else 1
    return served.samples.shaped((rows, all_sizes(layout.dims)[0]), seed=3)
