"""python -m benchmarks.autoscaling: simulate, and write results/autoscaling_simulated_<yyyymm>.{json,md,png}.

Nothing here depends on the machine or its speed: the same seed gives the same figures.
"""

import logging
import os
import warnings
from collections.abc import Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, replace
from functools import lru_cache
from typing import Any

from pitstop.measure.results import head, write

from .. import script
from .cases import DELAYS, Model, PolicySetting, config, models, settings
from .choose import as_good, named, ours
from .fleet import Fleet
from .plot import draw
from .table import render
from .traffic import SHAPES, Shape

_SEED = 1
_STARTS_IN_S = 60.0
_OTHER_STARTS_IN_S = (20.0, 180.0)
_STEM = "autoscaling_simulated_202611"
Case = tuple[str, str, float, PolicySetting]


def main(given: Sequence[str] | None = None) -> None:
    parser = script.parser("benchmarks.autoscaling", __doc__)
    parser.add_argument("--quick", action="store_true", help="only the first model, one shape and two targets")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    chosen = parser.parse_args(given)
    known, shapes = models(), SHAPES
    if chosen.quick:
        known, shapes = (replace(known[0], targets=known[0].targets[:2]),), SHAPES[:1]  # type: ignore[assignment]
    record = head(["python", "-m", "benchmarks.autoscaling", *(["--quick"] if chosen.quick else [])])
    record |= simulate(known, shapes, chosen.workers)
    print(write(chosen.out, _STEM, record, render(record), draw(record)))


def simulate(known: Iterable[Model], shapes: Iterable[Shape], workers: int) -> dict[str, Any]:
    """Run every setting at one start-up time, then ours and the cheapest as good of Serve's at the others."""
    known, shapes = list(known), list(shapes)
    first = [
        (model.name, shape.name, _STARTS_IN_S, setting)
        for model in known
        for shape in shapes
        for setting in settings(model)
    ]
    with ProcessPoolExecutor(workers, initializer=_quiet) as pool:
        runs = list(pool.map(one, first))
        rest = [case for model in known for shape in shapes for case in _others(model, shape, runs)]
        runs += pool.map(one, rest)
    return {
        "theme": "autoscaling, simulated",
        "seed": _SEED,
        "starts_in_s": _STARTS_IN_S,
        "delays": DELAYS,
        "models": [{**asdict(model), "target_queue_ms": model.target_queue_ms} for model in known],
        "shapes": [{"name": each.name, "what": each.what, "lasts_s": each.lasts_s} for each in shapes],
        "runs": runs,
    }


def _others(model: Model, shape: Shape, runs: list[dict[str, Any]]) -> list[Case]:
    here = named(runs, model.name, shape.name, _STARTS_IN_S)
    chosen = [each for each in (ours(here), as_good(here)) if each]
    kept = {PolicySetting(each["policy"], each["target"], each["delays"]) for each in chosen}
    ordered = sorted(kept, key=lambda each: (each.policy, each.target, each.delays))
    return [(model.name, shape.name, starts_in_s, each) for starts_in_s in _OTHER_STARTS_IN_S for each in ordered]


def one(case: Case) -> dict[str, Any]:
    """Run one case; return it with its outcome."""
    name, shape_name, starts_in_s, setting = case
    model = next(each for each in models() if each.name == name)
    shape = next(each for each in SHAPES if each.name == shape_name)
    at_s = _arrivals(shape, model.peak_rps)
    scaling = config(model, shape, setting)
    fleet = Fleet(at_s, shape.lasts_s, model.forward_ms, scaling, starts_in_s, model.target_queue_ms)
    outcome = fleet.run(model.slo_ms)
    figures = {key: round(value, 5) for key, value in asdict(outcome).items()}
    return {"model": name, "shape": shape_name, "starts_in_s": starts_in_s, **asdict(setting), **figures}


def _quiet() -> None:
    """Serve says at each start that metrics_interval_s will move, and which policy it made."""
    warnings.simplefilter("ignore")
    logging.getLogger("ray.serve").setLevel(logging.ERROR)


@lru_cache(maxsize=2)
def _arrivals(shape: Shape, peak_rps: float) -> list[float]:
    return shape.arrivals(peak_rps, _SEED)


if __name__ == "__main__":
    main()
