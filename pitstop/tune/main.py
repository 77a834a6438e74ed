"""`pitstop tune`: the backend, precision, memory format, threads and batch size that run a model best on this machine.

What does not answer as eager does is out, whatever its speed. Ctrl-C shows what was measured so far.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

from rich.console import Console

from configs.backends import AUTO, backend_of
from configs.loader import ConfigError
from configs.schema import ModelConfig

from ..complete import load_completed
from ..measure.hardware import cores, device_here
from ..plan.place import Place, args_changes, find_model
from ..report.terminal import plain_console
from ..yaml_edit.patch import PatchError
from ..yaml_edit.propose import propose
from .candidates import Candidate, alike, candidates, now
from .halving import Round, Tried, halve
from .report import show_tried
from .trial import Trial, attempt

DONE, UNUSABLE, STOPPED = 0, 2, 130
Goal = Literal["latency", "throughput", "cost"]
Attempt = Callable[[dict[str, Any], str, int, float, float], Trial]
# Closer than this is noise, and no reason to change a file.
_CLEARLY = 1.05
# A smaller batch that is nearly as fast answers sooner.
_NEARLY = 0.95
_LEAST_TRIAL_S = 60.0
_MOST_ROWS_FACTOR = 4
_LARGER_S = 2.0


@dataclass(frozen=True, slots=True)
class TuneOptions:
    """What the user asked for."""

    path: Path
    name: str | None = None
    goal: Goal = "throughput"
    quick: bool = False
    budget_s: float = 300.0
    write: bool = False


class Search:
    """One search on its way: what was tried so far, and how."""

    def __init__(
        self, options: TuneOptions, place: Place, device: str, tell: Callable[[str], None], try_: Attempt
    ) -> None:
        self.options = options
        self.config = place.app.config
        self.present = now(self.config, device)
        self.found: dict[Candidate, Trial] = {}
        self._reached: dict[Candidate, int] = {}
        self.left: list[Candidate] = []
        self._device = device
        self._tell = tell
        self._try = try_
        self._began = time.monotonic()

    def run(self, listed: list[Candidate]) -> None:
        """Try what there is time for; `found` grows meanwhile."""
        steps = halve(listed, self._trial, lambda pair: self.score(*pair), self.options.budget_s, time.monotonic)
        for step in steps:
            self._note(step)
        if self.options.goal != "latency":
            self._more_rows()

    def score(self, candidate: Candidate, trial: Trial) -> float | None:
        """Return how good a trial is for the goal, the higher the better; None where it is out."""
        if trial.discarded or not trial.p50_ms:
            return None
        if self.options.goal == "latency":
            return -trial.p50_ms[min(trial.p50_ms)]
        rate = trial.best[1]
        return rate / candidate.threads if self.options.goal == "cost" else rate

    def best(self) -> Candidate | None:
        """Return the best of those that came furthest; the present setting where none is clearly better."""
        scores = {each: value for each, trial in self.found.items() if (value := self.score(each, trial)) is not None}
        furthest = max((self._reached[each] for each in scores), default=0)
        scores = {each: value for each, value in scores.items() if self._reached[each] == furthest}
        if not scores:
            return None
        best = max(scores.values())
        # What is as good but for noise; of that what leaves the most of the file as it is, then what fits elsewhere.
        close = [each for each, value in scores.items() if _times_better(best, value) < _CLEARLY]
        return max(close, key=lambda each: (alike(each, self.present), each.backend == AUTO, scores[each]))

    def _note(self, step: "Tried[Candidate, tuple[Candidate, Trial]]") -> None:
        if step.result is None:
            self.left += [step.candidate] if step.candidate not in self.found else []
        elif not step.result[1].discarded or step.candidate not in self.found:
            self.found[step.candidate] = step.result[1]
            self._reached[step.candidate] = step.round

    def _trial(self, candidate: Candidate, round_: Round) -> tuple[Candidate, Trial]:
        spent = time.monotonic() - self._began
        self._tell(f"round {round_.number + 1}, {spent:.0f} of {self.options.budget_s:.0f} s: {candidate.label}")
        args = candidate.args(self.config, self._device, thorough=round_.last)
        timeout_s = max(_LEAST_TRIAL_S, round_.left_s)
        return candidate, self._try(args, self._device, candidate.threads, round_.measure_s, timeout_s)

    def _more_rows(self) -> None:
        """Try larger batches, as long as the largest is the best and there is time."""
        if self.config.whole:  # There it bounds a request, not a batch.
            return
        while (best := self.best()) is not None and self.found[best].best[0] == best.max_batch_size:
            left_s = self.options.budget_s - (time.monotonic() - self._began)
            larger = replace(best, max_batch_size=2 * best.max_batch_size)
            if (
                left_s <= 0
                or larger.max_batch_size > _MOST_ROWS_FACTOR * self.config.max_batch_size
                or larger in self.found
            ):
                return
            number = self._reached[best]
            self._note(Tried(larger, self._trial(larger, Round(number, _LARGER_S, True, left_s)), number))


def _times_better(score: float, other: float) -> float:
    """Return the factor between two scores; those of latency are negative times."""
    return score / other if score > 0 else other / score


def tune(options: TuneOptions, console: Console | None = None, try_: Attempt | None = None) -> int:
    """Tune one model, show what was tried, and return the exit status. `try_` measures; tests bring their own."""
    console = console or plain_console()
    try:
        if options.budget_s <= 0:
            raise ConfigError(f"--budget-s is {options.budget_s:g}\nhelp: it must be above 0")
        place = find_model(load_completed(options.path), options.name)
        return _tune(options, place, console, try_ or partial(attempt, minutes=not options.quick))
    except (ConfigError, PatchError) as error:
        console.print(str(error), style="red", markup=False, soft_wrap=True)
        return UNUSABLE


def _tune(options: TuneOptions, place: Place, console: Console, try_: Attempt) -> int:
    device = device_here(place.app.config.device)
    with plain_console(stderr=True).status("starting") as line:
        search = Search(options, place, device, line.update, try_)
        images = any(len(tensor.shape) == 4 for tensor in place.app.config.inputs)
        stopped = False
        try:
            quantized = find_spec("torchao") is not None
            search.run(candidates(place.app.config, device, cores(), images, options.quick, quantized))
        except KeyboardInterrupt:
            stopped = True
    best = search.best()
    console.print(f"\n{place.app.config.name} on {device}, for {options.goal}", style="bold")
    show_tried(search.found, search.left, search.present, best, console, search.score)
    if stopped:
        console.print("stopped by Ctrl-C: this is what was measured so far; the file is as it was", style="yellow")
        return STOPPED
    if best is None:
        console.print("no setting could be used: the reasons are above", style="red")
        return UNUSABLE
    changes = args_changes(place, _wanted(options, place.app.config, best, search.found[best]))
    propose(options.path, changes, options.write, console)
    if backend_of(search.found[best].how).built:
        title = backend_of(search.found[best].how).title
        told = f"a start only loads {title}: then run pitstop build {options.path} --model {place.app.config.name}"
        console.print(told, style="yellow", markup=False, soft_wrap=True)
    return DONE


def _wanted(options: TuneOptions, config: ModelConfig, best: Candidate, trial: Trial) -> dict[str, Any]:
    """Return the args that differ from the config's."""
    wanted: dict[str, Any] = {
        "backend": best.backend,
        "precision": best.precision,
        "memory_format": best.memory_format,
    }
    if best.threads != now(config, device_here(config.device)).threads:
        wanted["num_cpus"] = best.threads
    if options.goal != "latency" and not config.whole:
        wanted["max_batch_size"] = _rows(trial)
    changed = {key: value for key, value in wanted.items() if getattr(config, key) != value}
    if "max_batch_size" in changed and config.batch_sizes is not None:
        changed["batch_sizes"] = sorted({*(each for each in config.batch_sizes if each < _rows(trial)), _rows(trial)})
    return changed


def _rows(trial: Trial) -> int:
    """Return the smallest batch that is nearly as fast as the fastest."""
    _, rate = trial.best
    return min(size for size, ms in trial.p50_ms.items() if 1000 * size / ms >= _NEARLY * rate)
