"""Which of the tried settings of Serve's default policy ours is held against: the best that hindsight can pick."""

from collections.abc import Sequence
from typing import Any

from .cases import OURS, SERVE

Run = dict[str, Any]


def named(runs: Sequence[Run], model: str, shape: str, starts_in_s: float) -> list[Run]:
    return [each for each in runs if (each["model"], each["shape"], each["starts_in_s"]) == (model, shape, starts_in_s)]


def ours(runs: Sequence[Run]) -> Run:
    return next(each for each in runs if each["policy"] == OURS)


def as_good(runs: Sequence[Run]) -> Run | None:
    """Return the cheapest of Serve's that attains at least what ours does; None where none does."""
    enough = [each for each in _serve(runs) if each["attained"] >= ours(runs)["attained"]]
    return min(enough, key=lambda each: each["replica_hours"], default=None)


def best(runs: Sequence[Run]) -> Run | None:
    """Return the one of Serve's that attains most, the cheapest of equals; None where none was tried."""
    return max(_serve(runs), key=lambda each: (each["attained"], -each["replica_hours"]), default=None)


def as_cheap(runs: Sequence[Run]) -> Run | None:
    """Return the one of Serve's that attains most at no more replica-hours than ours; None where none is as cheap."""
    cheap = [each for each in _serve(runs) if each["replica_hours"] <= ours(runs)["replica_hours"]]
    return max(cheap, key=lambda each: each["attained"], default=None)


def _serve(runs: Sequence[Run]) -> list[Run]:
    return [each for each in runs if each["policy"] == SERVE]
