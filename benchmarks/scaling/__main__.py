"""python -m benchmarks.scaling: write results/scaling_simulated_<yyyymm>.{json,md}, by arithmetic alone."""

from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import Any

from pitstop.measure.results import head, write
from pitstop.report.numbers import plural

from .. import script
from .inputs import inputs
from .parts import Fleet, of_gpus, of_rate, old_proxies
from .table import render

_STEM = "scaling_simulated_202611"
_GPUS = (1, 10, 100)
_RATE_RPS = 100_000
_CHANGES = (1, 10, 60)


def main(given: Sequence[str] | None = None) -> None:
    parser = script.parser("benchmarks.scaling", __doc__)
    parser.add_argument("--gpu-rps", type=float, default=inputs()["gpu_rps"].value, help="rows a second of one GPU")
    chosen = parser.parse_args(given)
    record = head(["python", "-m", "benchmarks.scaling", "--gpu-rps", f"{chosen.gpu_rps:g}"])
    record |= calculate(chosen.gpu_rps)
    print(write(chosen.out, _STEM, record, render(record)))


def calculate(gpu_rps: float) -> dict[str, Any]:
    """Return inputs, fleets for both kinds of body, and the HAProxy processes that changes leave behind."""
    named = inputs()
    named["gpu_rps"] = replace(named["gpu_rps"], value=gpu_rps)
    known = {name: each.value for name, each in named.items()}
    fleets = []
    for body in ("image_bytes", "numbers_bytes"):
        found = [(plural(gpus, "GPU"), of_gpus(gpus, known[body], known)) for gpus in _GPUS]
        found.append((f"{_RATE_RPS:,} requests/s", of_rate(_RATE_RPS, known[body], known)))
        fleets += [{"body": body, "asked": asked, **_as_json(fleet)} for asked, fleet in found]
    return {
        "inputs": {name: asdict(each) for name, each in named.items()},
        "fleets": fleets,
        "old_proxies": {str(changes): old_proxies(changes, known) for changes in _CHANGES},
    }


def _as_json(fleet: Fleet) -> dict[str, Any]:
    return {**asdict(fleet), "weak": [part.name for part in fleet.weak]}


if __name__ == "__main__":
    main()
