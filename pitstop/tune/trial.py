"""One setting, tried in a process of its own, so that threads, cuDNN's state and memory are those of a fresh replica.

`attempt` is the parent's side, `try_here` the child's.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from .. import child_process
from ..measure.percentiles import percentile
from ..measure.timing import times_ms

LEAST_RUNS = 5


@dataclass(frozen=True, slots=True)
class Trial:
    """What came of one setting: median and p99 times in ms by batch size, or why there are none.

    `deviation` is from eager, relative to an output's largest value.
    """

    p50_ms: Mapping[int, float]
    p99_ms: Mapping[int, float]
    how: str = ""
    deviation: float | None = None
    peak_mib: float = 0.0
    discarded: str = ""

    @property
    def best(self) -> tuple[int, float]:
        """The batch size with the most rows a second, and that rate."""
        rates = {size: 1000 * size / ms for size, ms in self.p50_ms.items()}
        size = max(rates, key=lambda each: rates[each])
        return size, rates[size]


def failed(why: str) -> Trial:
    return Trial({}, {}, discarded=why)


def attempt(
    args: Mapping[str, Any], device: str, threads: int, measure_s: float, timeout_s: float, minutes: bool = False
) -> Trial:
    """Try one setting.

    Args:
        args: a model's args.
        device: `cuda` or `cpu`.
        threads: how many torch may use.
        measure_s: how long to time forwards, once the model is warm.
        timeout_s: how long all of it may take.
        minutes: whether compiling may take minutes.
    """
    environment = {"OMP_NUM_THREADS": str(threads), "PITSTOP_STORE": ""}
    environment |= {"CUDA_VISIBLE_DEVICES": ""} if device == "cpu" else {}
    order = (dict(args), device, threads, measure_s, minutes)
    try:
        found: Trial = next(child_process.run(f"{__name__}:try_here", order, timeout_s, environment))
    except child_process.EndedError as ended:
        return failed(str(ended))
    return found


def try_here(order: tuple[dict[str, Any], str, int, float, bool], report: child_process.Report) -> None:
    """The child: report what was found."""
    try:
        report(_measure(*order))
    except Exception as error:  # Compilers raise dozens of types; each means that this setting is out.
        from models.errors import first_line

        report(failed(first_line(error)))


def _measure(args: dict[str, Any], device: str, threads: int, measure_s: float, minutes: bool) -> Trial:
    import resource

    import torch

    from configs.backends import AUTO, EAGER, backend_of
    from configs.loader import parse_model
    from models.startup.complete import completed
    from models.startup.open_model import open_model

    torch.set_num_threads(threads)
    config = completed(parse_model(args))
    served, title = open_model(config, device, minutes=minutes), backend_of(config.backend).title
    if config.backend not in (AUTO, served.candidates[0].backend):
        return failed(f"nothing is built of {title}: `pitstop build` does it")
    if served.how == EAGER and config.backend not in (AUTO, EAGER) and config.source.exported_program is None:
        return failed(f"{title} would not be faithful, so it would run eagerly")
    sizes = served.runner.layout.sizes
    times = {}
    for size in sizes:
        rows = served.samples.shaped((size, config.middle_sizes), seed=5)
        times[size] = times_ms(partial(served.runner.run, [rows]), measure_s / len(sizes), LEAST_RUNS)
    peak = torch.cuda.max_memory_allocated() if device == "cuda" else 1024 * resource.getrusage(0).ru_maxrss
    return Trial(
        p50_ms={size: percentile(each, 0.5) for size, each in times.items()},
        p99_ms={size: percentile(each, 0.99) for size, each in times.items()},
        how=served.how,
        deviation=served.checks.compilation.deviation,
        peak_mib=round(peak / 2**20, 1),
    )
