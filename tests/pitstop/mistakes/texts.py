"""A preprocessing whose arrays are as wide as the longest text."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]


def words() -> Callable[[Mapping[str, Array]], dict[str, Array]]:
    def widths(rows: Mapping[str, Array]) -> dict[str, Array]:
        counts = [len(text.split()) for text in rows["text"].ravel()]
        mask = (np.arange(max(counts)) < np.array(counts)[:, None]).astype(np.float32)
        return {"values": np.ones_like(mask), "mask": mask}

    return widths
