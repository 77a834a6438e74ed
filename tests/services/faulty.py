"""A model that goes wrong on command, by numbers that no other request sends; it answers with its process too."""

import asyncio
import os
import threading
import time
from collections.abc import Callable

import torch
from torch import Tensor, nn

from models.signature import Array, Rows

HANG, LITTLE_MEMORY, ONE_NAN, ALL_NAN, HANG_LOOP = -1.0, -2.0, -3.0, -4.0, -5.0
FITS = 4


class Faulty(nn.Module):
    """Maps x [n, 1] to 2 * x and the process's id, each [n, 1], after `ms`, until a row says otherwise.

    HANG: this forward never returns. LITTLE_MEMORY: from now on more than FITS rows are out of memory. ONE_NAN: that
    row's answer is NaN. ALL_NAN: from now on every answer is.
    """

    def __init__(self, ms: float = 0) -> None:
        super().__init__()
        self.ms = ms
        self.fits = 1_000_000
        self.broken = False

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        if bool((x == HANG).any()):
            threading.Event().wait()
        if bool((x == LITTLE_MEMORY).any()):
            self.fits = FITS
        if bool((x == ALL_NAN).any()):
            self.broken = True
        if len(x) > self.fits:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate more than there is.")
        time.sleep(self.ms / 1000)
        wrong = (x == ONE_NAN) | torch.tensor(self.broken)
        return torch.where(wrong, torch.nan, 2 * x), torch.full_like(x, os.getpid(), dtype=torch.int64)


def hanging() -> Callable[[Rows], dict[str, Array]]:
    """Return a preprocessing that never returns from HANG_LOOP, and with which the event loop stands still.

    The loop is that of the ingress replica which makes it; its hooks that take long run in threads.
    """
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:  # The device makes it too, in its thread.
        loop = None

    def preprocess(rows: Rows) -> dict[str, Array]:
        if bool((rows["x"] == HANG_LOOP).any()):
            if loop is not None:
                loop.call_soon_threadsafe(threading.Event().wait)
            threading.Event().wait()
        return dict(rows)

    return preprocess
