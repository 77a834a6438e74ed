"""Models that give back what they get, as Triton's own tests ask them: INPUT0 as OUTPUT0 and so on."""

from collections.abc import Callable

import numpy as np
from torch import Tensor, nn

from models.signature import Array, Rows


class Identity(nn.Module):
    def forward(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        return inputs


def text_lengths() -> Callable[[Rows], dict[str, Array]]:
    """Return what puts the length of each string in its place: a model gives no BYTES back."""

    def preprocess(rows: Rows) -> dict[str, Array]:
        return {name: _lengths(array) if array.dtype == object else array for name, array in rows.items()}

    return preprocess


def _lengths(array: Array) -> Array:
    return np.array([len(each) for each in array.reshape(-1)], np.int64).reshape(array.shape)
