"""One model, measured: what it is, what it sustains, and how long its answers take there."""

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from ..load.bodies import Format, Request
from ..load.errors import LoadError
from ..load.load_runner import Drive
from ..load.plan import Plan
from ..load.run import run, try_one
from ..load.summary import Summary, summarise
from ..load.target import Target
from .capacity import Capacity, Kind, Probe, search

# A p99 needs some hundred answers behind it, and nobody waits for ever.
_ANSWERS = 200
_LONGEST_S = 30.0
# Whoever waits for so many times the target has been failed.
_PATIENCE = 5
# Of all requests, those that may fail while the target counts as met.
_FAILED = 0.001
_P50, _P99 = 0.5, 0.99
# Of what one connection gets in closed loop, a share that open loop will surely sustain.
_START = 0.4
Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Measured:
    """`device` is as the model's metadata has it; empty where the server does not say."""

    model: str
    url: str
    device: str
    slo_ms: float
    capacity: Capacity
    inputs: tuple[dict[str, Any], ...] = ()
    outputs: tuple[dict[str, Any], ...] = ()

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def measure(
    target: Target, requests: list[Request], kind: Format, slo_ms: float, seconds: float, say: Say, tell: Say
) -> Measured:
    """Search a model's capacity within a target of p99.

    A probe takes `seconds`, more at low rates. `say` shows what is going on, `tell` keeps what each probe found: it is
    there after Ctrl-C, too.
    """
    try_one(target, requests[0], kind, Plan().timeout_s)
    base = Plan(seconds=seconds, timeout_s=max(1.0, _PATIENCE * slo_ms / 1e3), warmup_s=min(1.0, seconds))
    closed = replace(base, connections=1, seconds=min(2.0, seconds), warmup_s=min(0.5, seconds))
    alone = summarise(closed, run(target, requests, kind, 0, closed, _quiet))

    def probe(rate_rps: float, seed: int, purpose: Kind) -> Probe:
        say(f"{target.model}: {rate_rps:,.4g}/s" + (", again to confirm" if purpose == "confirm" else ""))
        length = min(max(seconds, _ANSWERS / rate_rps), max(_LONGEST_S, seconds))
        plan = replace(base, rate_rps=rate_rps, seed=seed, seconds=length)
        found = judged(summarise(plan, run(target, requests, kind, 0, plan, _quiet)), slo_ms, purpose)
        tell(_line(target, found))
        return found

    first = judged(alone, slo_ms)
    device = str(target.properties.get("device", ""))
    if first.p50_ms > slo_ms:
        # Late although nobody else asks: no rate is low enough.
        capacity = Capacity(0.0, None, (first,), first.client_limit)
    else:
        capacity = search(probe, alone.answered_rps * _START)
    return Measured(target.model, target.url, device, slo_ms, capacity, target.inputs, target.outputs)


def judged(summary: Summary, slo_ms: float, purpose: Kind = "search") -> Probe:
    """Say whether a run met the target: p99 within it, and next to nothing failed."""
    p50, p99 = summary.level(_P50), summary.level(_P99)
    rate_rps = summary.plan.rate_rps or summary.answered_rps
    limit = "; ".join(summary.client_limit)
    if summary.stopped:
        raise KeyboardInterrupt
    if p50 is None or p99 is None:
        return Probe(rate_rps, False, float("inf"), float("inf"), summary.failed_share, limit, purpose)
    passed = p99.value <= slo_ms and summary.failed_share <= _FAILED
    return Probe(rate_rps, passed, p50.value, p99.value, summary.failed_share, limit, purpose)


def from_file(path: Path, slo_ms: float) -> Measured:
    """Read the GPU's part of an earlier comparison.

    Raises:
        LoadError: it is none, was not made on a GPU, or had another target.
    """
    try:
        found = json.loads(path.read_text(encoding="utf-8"))["gpu"]
        capacity = found["capacity"]
        probes = tuple(Probe(**each) for each in capacity["probes"])
        best = Probe(**capacity["best"]) if capacity["best"] else None
        measured = Measured(
            found["model"], found["url"], found["device"], float(found["slo_ms"]),
            Capacity(float(capacity["rate_rps"]), best, probes, capacity["at_least"],
                     tuple(capacity.get("unsteady_rps", ()))),
            tuple(found.get("inputs", ())), tuple(found.get("outputs", ())),
        )  # fmt: skip
    except OSError as error:
        raise LoadError(f"{path}: cannot be read ({error.strerror})", "name the JSON of a comparison") from error
    except (ValueError, KeyError, TypeError) as error:
        raise LoadError(f"{path}: is not a comparison", "name what `pitstop compare --json` wrote") from error
    if not measured.device.startswith("cuda"):
        raise LoadError(f"{path}: its GPU model ran on {measured.device or 'an unknown device'}", "measure on a GPU")
    if measured.slo_ms != slo_ms:
        raise LoadError(
            f"{path}: was measured for p99 within {measured.slo_ms:g} ms", f"add --slo-ms {measured.slo_ms:g}"
        )
    return measured


def _line(target: Target, found: Probe) -> str:
    failed = f", {found.failed_share:.1%} failed" if found.failed_share else ""
    client = ", the client was the limit" if found.client_limit else ""
    met = "met" if found.passed else "missed"
    took = f"p50 {found.p50_ms:.3g} ms, p99 {found.p99_ms:.3g} ms"
    return f"{target.model}: {found.rate_rps:,.4g}/s, {took}{failed}: {met}{client}"


def _quiet(_: Drive) -> None:
    pass
