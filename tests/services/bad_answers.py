"""A postprocess that breaks its contract in every way, each for the requests that ask for it.

A row is a number and the kind of what is done, by its place in KINDS, or 0. A good one, (7, 0), is answered `{"n": 14}`
and the square of 14.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from models.signature import Array, Rows
from tests.services.bad import _RAISES

# What is done with the answer that a good postprocess would have returned.
_RETURNS: dict[str, Callable[[dict[str, Any]], Any]] = {
    "more": lambda good: {name: np.repeat(value, 2, axis=0) for name, value in good.items()},
    "fewer": lambda good: {**good, "json": good["json"][:-1]},
    "none": lambda _: None,
    "list": lambda good: list(good.values()),
    "no-key": lambda good: {"json": good["json"]},
    "one-key-more": lambda good: {**good, "more": good["square"]},
    "no-array": lambda good: {**good, "square": good["square"].tolist()},
    "dtype": lambda good: {**good, "square": good["square"].astype(np.float64)},
    "rank": lambda good: {**good, "square": good["square"][:, None]},
    "numbers": lambda good: {**good, "json": good["square"]},
    "none-in-a-row": lambda good: {**good, "json": [None for _ in good["json"]]},
    "surrogate": lambda good: {**good, "json": ["\ud800" for _ in good["json"]]},
    "nested": lambda good: {**good, "json": [[each] for each in good["json"]]},
}
_ACTS: dict[str, Callable[[Any], Any]] = {**_RETURNS, **_RAISES}
KINDS = ["ok", *_ACTS, "value-error"]


class Doubles(nn.Module):
    """Doubles the first of two numbers, and hands the second on; with what no hook can take besides."""

    def __init__(self) -> None:
        super().__init__()
        self.factor = nn.Parameter(torch.full((1,), 2.0))

    def forward(self, x: Tensor) -> dict[str, Any]:
        return {"number": x[:, :1] * self.factor, "kind": x[:, 1], "mean": x.mean(), "none": None}


def make() -> Callable[[Rows], Any]:
    """Return the hook."""

    def run(rows: Rows) -> Any:
        numbers: Array = rows["number"][:, 0]
        kinds = [KINDS[int(each)] for each in rows["kind"] if each > 0]
        good = {"json": [f'{{"n": {each:g}}}' for each in numbers], "square": np.square(numbers)}
        if not kinds:
            return good
        if kinds[0] == "value-error":
            raise ValueError("a secret")
        return _ACTS[kinds[0]](good)

    return run


def counted() -> Callable[..., Any]:
    """Return a hook that takes the request's parameters."""

    def run(rows: Rows, parameters: dict[str, Any]) -> Any:
        found = make()(rows)
        found["json"] = [f"{each} {sorted(parameters.items())}" for each in found["json"]]
        parameters.clear()
        return found

    return run


class Both:
    """A handler: it takes text, and answers in the unit that the request names."""

    def preprocess(self, rows: Rows, parameters: dict[str, Any]) -> Any:
        factor = parameters.pop("factor", 1)
        return {"x": np.array([[float(text) * factor, 0] for text in rows["text"]], np.float32)}

    def postprocess(self, rows: Rows, parameters: dict[str, Any]) -> Any:
        unit = parameters.get("unit", "m")
        return {"length": [f"{each:g} {unit} x{parameters.get('factor', 1)}" for each in rows["number"][:, 0]]}


class Before:
    preprocess = Both.preprocess


class After:
    def postprocess(self, rows: Rows) -> Any:
        return {"length": [b"long"] * len(rows["number"])}


class Neither:
    pass


class NoMethod:
    postprocess = 3
