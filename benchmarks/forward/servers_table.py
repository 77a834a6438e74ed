"""The servers' part as Markdown: for each model the rates, what they are of the limit and of each other's, and why."""

from collections.abc import Mapping, Sequence
from statistics import mean, median
from typing import Any

import msgspec

from pitstop.report.markdown import table
from pitstop.report.numbers import precise

from ..results import Measured
from ..summary import middle
from ..table import rate, remarks

Part = Mapping[str, Any]


def lines_of(part: Part) -> list[str]:
    """Return the lines of the part."""
    units = ", ".join(part["bf16"]) or "neither AMX-bf16 nor AVX512-BF16"
    lines = [
        f"This CPU has {units}. Every server runs one model process on one torch thread. bf16: the network cast, "
        "scripted, frozen, channels_last where it takes pictures. Medians over the passes; ± is half the range. *Of "
        "the limit* is the rate at the most connections over the forward that pitstop chose, in process, right before "
        "and after each round, at its best batch size.",
    ]
    built = [f"{key} {seconds:.0f} s" for key, seconds in part["built_s"].items()]
    lines += ["", f"`pitstop build` beforehand: {'; '.join(built)}."]
    for workload in part["workloads"]:
        lines += ["", f"### {workload['name']}: {workload['what']}", "", *_workload(workload)]
    return lines


def ratios(workload: Part) -> dict[str, list[tuple[float, str]]]:
    """Return, for each comparison, the ratio at each number of connections, and the peer it is over."""
    servers = [(each, _measured(each)) for each in workload["servers"] if not each["not_measured"]]
    own = {raw["group"]: found for raw, found in servers if "limits_ms" in raw}
    found = {}
    for mine, theirs in (("fp32", "fp32"), ("as shipped", "fp32"), ("as shipped", "bf16")):
        peers = [each for raw, each in servers if raw["group"] == theirs and "limits_ms" not in raw]
        if mine in own and peers:
            found[f"pitstop {mine} / best {theirs} peer"] = [
                _over_best(_rps(own[mine], place), peers, place) for place in range(len(own[mine].closed))
            ]
    return found


def of_the_limit(server: Part) -> list[float]:
    """Return, for each round, the rate at the most connections over the forward's, right before and after it."""
    rates = [each["rate_rps"] for each in server["closed"][-1]["rounds"]]
    limits = [mean(_best_rps(each) for each in pair) for pair in server["limits_ms"]]
    return [one / other for one, other in zip(rates, limits, strict=True)]


def _over_best(rps: float, peers: Sequence[Measured], place: int) -> tuple[float, str]:
    """Return how many times as many answers these are as the best peer's, and its name."""
    best = max(peers, key=lambda each: _rps(each, place))
    return rps / _rps(best, place), best.server


def _workload(workload: Part) -> list[str]:
    good = [each for each in workload["servers"] if not each["not_measured"]]
    lines: list[str] = []
    if good:
        loops = [
            f"c={each['connections']} {figure}" for each in good[0]["closed"] for figure in ("rps", "p50 / p99 ms")
        ]
        lines += [*table(["server", "model", *loops, "of the limit"], [_figures(each) for each in good]), ""]
        compared = ratios(workload)
        connections = [f"c={each['connections']}" for each in good[0]["closed"]]
        rows = [[name, *(f"{ratio:.2f} ({peer})" for ratio, peer in each)] for name, each in compared.items()]
        lines += [*table(["ratio of median rates", *connections], rows), ""]
    lines += [line for each in good for line in _candidates(each)]
    missing = [each for each in workload["servers"] if each["not_measured"]]
    lines += [f"- {each['server']}: not measured: {each['not_measured']}" for each in missing]
    return lines + [line for each in good for line in remarks(_measured(each))]


def _figures(server: Part) -> list[str]:
    cells = [server["server"], _runs(server)]
    for loop in _measured(server).closed:
        cells += [
            rate([each.rate_rps for each in loop.rounds]),
            f"{precise(middle(loop.rounds, 'p50_ms'))} / {precise(middle(loop.rounds, 'p99_ms'))}",
        ]
    shares = of_the_limit(server) if "limits_ms" in server else []
    return [*cells, f"{100 * median(shares):.1f} % ({span([100 * each for each in shares])})" if shares else ""]


def _runs(server: Part) -> str:
    """Return what runs: of pitstop what its server says of itself."""
    said = server.get("properties", {"backend": "script", "precision": server["group"]})
    return f"{said['backend']}, {said['precision']}"


def _candidates(server: Part) -> list[str]:
    """Return the table by which the server chose, as its metadata has it."""
    tried = server.get("properties", {}).get("candidates", ())
    rows = [
        [
            each["backend"],
            each["precision"],
            "" if each["rows_s"] is None else precise(each["rows_s"]),
            each["outcome"],
            each["reason"],
        ]
        for each in tried
    ]
    heads = ["candidate", "precision", "rows/s", "", "why"]
    return [f"Candidates of {server['server']}:", "", *table(heads, rows), ""] if rows else []


def _measured(server: Part) -> Measured:
    found: Measured = msgspec.convert(server, Measured, strict=False)
    return found


def _rps(server: Measured, place: int) -> float:
    return middle(server.closed[place].rounds, "rate_rps")


def _best_rps(forward_ms: Mapping[str, float]) -> float:
    return max(1000 * int(rows) / ms for rows, ms in forward_ms.items())


def span(values: Sequence[float]) -> str:
    return f"{precise(min(values))} to {precise(max(values))}"
