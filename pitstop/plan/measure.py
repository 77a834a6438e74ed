"""Times a model's forward in a process of its own, prepared, warmed and proved exactly as a replica does it."""

import os
from collections.abc import Callable
from functools import partial

from configs.schema import ModelConfig

from .. import child_process
from ..measure.hardware import device_here
from ..measure.timing import times_ms
from ..report.numbers import plural
from .profile import Profile, quantiles, sizes_at

# A start that says nothing for so long hangs: torch.compile may take minutes, and every size is warmed.
_LIMIT_S = 1800
_HELP = "help: see whether `pitstop audit --model {}` says more"
LEAST_RUNS = 15
_MOST_RUNS = 2000
# A slow forward may take this many times its share to reach LEAST_RUNS.
_PATIENCE = 4


def devices_here(config: ModelConfig, both: bool) -> list[str]:
    """Return where this model may run on this machine; `auto` may mean both, where both have a price."""
    first = device_here(config.device)
    return ["cuda", "cpu"] if both and (config.device, first) == ("auto", "cuda") else [first]


def profile_here(
    config: ModelConfig, device: str, budget_s: float, length: int | None, tell: Callable[[str], None]
) -> Profile:
    """Measure every warmed batch size.

    Raises:
        ModelError: the model must not be served, cannot be started, or ended the process that tried.

    Args:
        config: the model.
        device: `cuda` or `cpu`.
        budget_s: how long to time forwards, after the start.
        length: the open size to plan for, of every open dimension; the middle one that is warmed where None.
        tell: is told what is being done.
    """
    from models.errors import ModelError

    order = (config, device, budget_s, length)
    try:
        for told in child_process.run(f"{__name__}:profile_in_child", order, _LIMIT_S):
            if isinstance(told, Profile):
                return told
            if isinstance(told, Exception):
                raise told
            tell(told)
    except child_process.EndedError as ended:
        raise ModelError(f"its start {ended}\n{_HELP.format(config.name)}") from ended
    raise AssertionError("the child reports a profile or an error")


def profile_in_child(order: tuple[ModelConfig, str, float, int | None], report: child_process.Report) -> None:
    """The child: report what is being done, then a profile or a ModelError."""
    from models.errors import ModelError, first_line

    config = order[0]
    try:
        report(_profile(*order, report))
    except ModelError as error:
        report(error)
    except Exception as error:  # Code of the user's own, and compilers: whatever they raise, there is no profile.
        report(ModelError(f"the model cannot be started ({first_line(error)})\n{_HELP.format(config.name)}"))


def _profile(
    config: ModelConfig, device: str, budget_s: float, length: int | None, tell: Callable[[str], None]
) -> Profile:
    import torch

    from models.runtime.dims import all_sizes
    from models.startup.open_model import open_model

    if device == "cpu":
        torch.set_num_threads(config.threads)
    tell(f"starting {config.name} on {device}")
    served = open_model(config, device, kept=True)
    chosen = sizes_at(all_sizes(served.runner.layout.dims), length)
    sizes = served.runner.layout.sizes
    times: dict[int, tuple[float, ...]] = {}
    for size in sizes:
        tell(f"timing {config.name} on {device}, {size} rows")
        rows = served.samples.shaped((size, chosen), seed=5)
        run = partial(served.runner.run, [rows])
        run()
        times[size] = quantiles(times_ms(run, budget_s / len(sizes), LEAST_RUNS, _PATIENCE, _MOST_RUNS))
    return Profile(
        config.name, device, times, f"{served.chosen}, measured here, {_where(config, device)}", sizes=chosen
    )


def _where(config: ModelConfig, device: str) -> str:
    import torch

    if device == "cuda":
        return str(torch.cuda.get_device_name(0))
    threads = config.threads
    return f"{plural(threads, 'thread')} of a CPU with {os.cpu_count()}"
