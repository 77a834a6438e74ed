"""One row that the start has shown the model to take: what it answers later tells of the device, not of the input."""

from typing import TYPE_CHECKING

from ..signature import Array
from .sample_inputs import Draw

if TYPE_CHECKING:
    from .open_model import Served


def known_good_row(served: "Served") -> dict[str, Array]:
    """Return a row in the form that the runner takes, of the smallest warmed shape."""
    lengths = served.runner.layout.lengths
    draw = Draw(served.signature, served.preprocess, lengths)
    return draw.shaped((1, lengths[0] if lengths else 0), seed=3)
