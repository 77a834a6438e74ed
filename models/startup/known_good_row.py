"""One row that the start has shown the model to take: what it answers later tells of the device, not of the input."""

from typing import TYPE_CHECKING

from ..signature import Array

if TYPE_CHECKING:
    from .open_model import OpenedModel


def known_good_row(served: "OpenedModel") -> dict[str, Array]:
    """Return a row in the form that the runner takes, of the smallest warmed shape."""
    lengths = served.runner.layout.lengths
    return served.samples.shaped((1, lengths[0] if lengths else 0), seed=3)
