"""A preprocess and a forward that break their contracts in every way, each for the texts that ask for it.

A text is `kind:number`. A good one, `ok:7`, is answered 14; any other kind does what it is called.
"""

import asyncio
import os
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from models.signature import Array, Rows


class Own(BaseException):
    """As some libraries have: no Exception, so that `except Exception` passes it by."""


def _raising(error: Callable[[], BaseException]) -> Callable[[Any], Any]:
    def act(_: Any) -> Any:
        raise error()

    return act


def _exits(_: Any) -> Any:
    sys.exit("bad input")


def _next(_: Any) -> Any:
    return next(iter(()))


_RAISES: dict[str, Callable[[Any], Any]] = {
    "key-error": _raising(lambda: KeyError("a secret")),
    "timeout-error": _raising(lambda: TimeoutError("a secret")),
    "exit": _exits,
    "interrupt": _raising(KeyboardInterrupt),
    "cancelled": _raising(asyncio.CancelledError),
    "generator-exit": _raising(GeneratorExit),
    "own": _raising(Own),
    "stop": _next,
}
# What is done with the array that a good preprocess would have returned.
_RETURNS: dict[str, Callable[[Array], Any]] = {
    "more": lambda n: {"n": np.repeat(n, 2, axis=0)},
    "fewer": lambda n: {"n": n[:-1]},
    "none": lambda _: None,
    "list": lambda n: [n],
    "no-key": lambda n: {"m": n},
    "one-key-more": lambda n: {"n": n, "m": n},
    "no-array": lambda n: {"n": n.tolist()},
    "dtype": lambda n: {"n": n.astype(np.float64)},
    "rank": lambda n: {"n": n[:, 0]},
    "size": lambda n: {"n": n[:, :1]},
}
# What is done with the tensor that a good forward would have returned.
_GIVES: dict[str, Callable[[Tensor], Any]] = {
    "more": lambda y: torch.cat([y, y]),
    "fewer": lambda y: y[:-1],
    "none": lambda _: None,
    "number": lambda _: 3.0,
    "array": lambda y: y.numpy(),
    "two": lambda y: (y, y),
    "no-key": lambda y: {"z": y},
    "dtype": lambda y: y.to(torch.int64),
    "rank": lambda y: y[:, 0],
    "size": lambda y: torch.cat([y, y], 1),
}
_IN_PREPROCESS = _RETURNS | _RAISES
_IN_FORWARD = list((_GIVES | _RAISES).items())
KINDS = [f"preprocess-{kind}" for kind in _IN_PREPROCESS] + [f"forward-{kind}" for kind, _ in _IN_FORWARD]


class Bad(nn.Module):
    """Maps n [n, 2], a number and what to do, to its double [n, 1]; the first row that asks for it has its way."""

    def __init__(self) -> None:
        super().__init__()
        self.factor = nn.Parameter(torch.full((1,), 2.0))

    def forward(self, n: Tensor) -> Any:
        good = n[:, :1] * self.factor
        asked = [int(kind) for kind in n[:, 1].tolist() if kind]
        if asked:
            kind, act = _IN_FORWARD[asked[0] - 1]
            # By their values, as a detector leaves out weak boxes.
            return good[n[:, 1] == 0] if kind == "fewer" else act(good)
        return good


def make() -> Callable[[Rows], Any]:
    """Return the preprocessing: a text to its number and what forward is to do."""
    forward = {f"forward-{kind}": number for number, (kind, _) in enumerate(_IN_FORWARD, 1)}

    def run(rows: Rows) -> Any:
        texts = [text.decode().partition(":") for text in rows["text"].ravel()]
        array = np.array([[float(n or 0), forward.get(kind, 0)] for kind, _, n in texts], np.float32)
        for kind, _, _ in texts:
            act = _IN_PREPROCESS.get(kind.removeprefix("preprocess-"))
            if act is not None and kind.startswith("preprocess-"):
                return act(array)
        return {"n": array}

    return run


def exiting() -> nn.Module:
    """A factory that ends the process, as argparse does."""
    sys.exit(2)


def answering(row: dict[str, Array]) -> Any:
    """A `predict.encode` that goes by its row: 26 is no object, 28 nothing that JSON can hold, 30 ends the process."""
    number = float(row["y"][0])
    if number == 30:
        raise SystemExit(3)
    answers: dict[float, Any] = {26: None, 28: {"y": object()}}
    return answers.get(number, {"y": number, "process": os.getpid()})
