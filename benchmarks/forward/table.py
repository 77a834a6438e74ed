"""The parts as Markdown, each under the head of the run that measured it; from what the JSON holds."""

from collections.abc import Callable, Mapping, Sequence
from statistics import mean, median
from typing import Any

import msgspec

from pitstop.measure.results import told
from pitstop.report.markdown import table
from pitstop.report.numbers import TIMES, deviation, precise

from ..results import Measured
from ..summary import middle
from ..table import rate
from .starts import BEFORE, beyond_torch_s

Part = Mapping[str, Any]


def render(parts: Mapping[str, Part]) -> str:
    """Return the whole report; parts that were not measured are left out."""
    lines = ["# The forward that pitstop finds"]
    for name, (title, section) in _SECTIONS.items():
        if part := parts.get(name):
            head = [f"## {title}", "", told(part), "", f"    {part['command']}", ""]
            lines += ["", *head, *section(part)]
    return "\n".join(lines)


def ratios(workload: Part) -> dict[str, list[tuple[float, str]]]:
    """Return, for each comparison, the ratio at each number of connections, and the peer it is over."""
    servers = [(each, _measured(each)) for each in workload["servers"] if not each["not_measured"]]
    own = {raw["group"]: found for raw, found in servers if "limits_ms" in raw}
    found = {}
    for mine, theirs in (("fp32", "fp32"), ("as shipped", "fp32"), ("as shipped", "bf16")):
        peers = [each for raw, each in servers if raw["group"] == theirs and "limits_ms" not in raw]
        if mine in own and peers:
            found[f"pitstop {mine} / best {theirs} peer"] = [
                max_over(_rps(own[mine], place), peers, place) for place in range(len(own[mine].closed))
            ]
    return found


def max_over(rps: float, peers: Sequence[Measured], place: int) -> tuple[float, str]:
    """Return how many times as many answers these are as the best peer's, and its name."""
    best = max(peers, key=lambda each: _rps(each, place))
    return rps / _rps(best, place), best.server


def of_the_limit(server: Part) -> list[float]:
    """Return, for each round, the rate at the most connections over the forward's, right before and after it."""
    rates = [each["rate_rps"] for each in server["closed"][-1]["rounds"]]
    limits = [mean(_best_rps(each) for each in pair) for pair in server["limits_ms"]]
    return [one / other for one, other in zip(rates, limits, strict=True)]


def _servers(part: Part) -> list[str]:
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
    for server in good:
        lines += _candidates(server)
    reasons = [(each, each["not_measured"]) for each in workload["servers"]]
    reasons += [(each, reason) for each in good for reason in each["missed"]]
    lines += [f"- {each['server']}, {each['group']}: not measured: {reason}" for each, reason in reasons if reason]
    return lines


def _figures(server: Part) -> list[str]:
    cells = [server["server"], _runs(server)]
    for loop in _measured(server).closed:
        cells += [
            rate([each.rate_rps for each in loop.rounds]),
            f"{precise(middle(loop.rounds, 'p50_ms'))} / {precise(middle(loop.rounds, 'p99_ms'))}",
        ]
    shares = of_the_limit(server) if "limits_ms" in server else []
    return [*cells, f"{100 * median(shares):.1f} % ({_span([100 * each for each in shares])})" if shares else ""]


def _runs(server: Part) -> str:
    """Return what runs: of pitstop what its server says of itself."""
    said = server.get("properties")
    return f"{server['group']}: {said['backend']}, {said['precision']}" if said else f"TorchScript, {server['group']}"


def _candidates(server: Part) -> list[str]:
    """Return the table by which the server chose, as its metadata has it."""
    rows = server.get("properties", {}).get("candidates") or []
    if not rows:
        return []
    keys = [*dict.fromkeys(key for each in rows for key in each)]
    cells = [["" if (value := each.get(key)) is None else _cell(value) for key in keys] for each in rows]
    return [f"Candidates of pitstop, {server['group']}:", "", *table(keys, cells), ""]


def _cell(value: object) -> str:
    return precise(value) if isinstance(value, float) else str(value).replace("\n", " ")


def _starts(part: Part) -> list[str]:
    lines = [
        "From the start of the process to a model that is ready, without Ray and without `import torch`, which each "
        "start times for itself. All files are in the system's memory. "
        f"*{BEFORE}* is commit {part['before']}. Medians of as many turns as there are starts, and their range.",
        "",
    ]
    rows = []
    for model in part["models"]:
        before = median(map(beyond_torch_s, model["starts"][BEFORE]))
        for way, starts in model["starts"].items():
            seconds = [*map(beyond_torch_s, starts)]
            runs = ", ".join(sorted({f"{each['how']}, {each['precision']}" for each in starts}))
            torch_s = f"{median(each['torch_s'] for each in starts):.2f}"
            times = f"{median(seconds) / before:.2f} {TIMES}"
            rows.append([model["name"], way, runs, f"{median(seconds):.2f} ({_span(seconds)})", times, torch_s])
    return lines + table(
        ["model", "start", "runs", "beyond `import torch`, s", "over before", "`import torch`, s"], rows
    )


def _interpreter(part: Part) -> list[str]:
    lines = [
        f"A network of {part['layers']} linear layers. Two requests are always under way, so that forwards run back to "
        f"back on two threads, for {part['seconds']:g} s; beside them each path is asked 50 times a second. "
        "`/v2/health/live` is answered by the root application, in another process; the model's own paths by the "
        "replica that runs the forwards.",
        "",
    ]
    rows, missing = [], []
    for served in part["served"]:
        if reason := served.get("not_measured"):
            missing.append(f"- {served['backend']}: not measured: {reason}")
            continue
        for path, found in served["asked"].items():
            rows.append([served["backend"], served["runs"], f"{served['forward_ms']:.0f}", f"`{path}`", *_spans(found)])
    lines += table(["backend", "runs", "forward, ms", "asked", "count", "p50 ms", "p99 ms", "most"], rows)
    lines += ["", *missing, *([""] if missing else [])]
    inside = [[way, f"{each['forward_ms']:.0f}", *_spans(each)] for way, each in part["in_process"].items()]
    lines += ["In one process, how late a thread wakes from naps of 1 ms while another runs the forward:", ""]
    return lines + table(["forward by", "forward, ms", "count", "p50 ms", "p99 ms", "most"], inside)


def _spans(found: Mapping[str, float]) -> list[str]:
    return [f"{found['count']:,}", *(precise(found[key]) for key in ("p50_ms", "p99_ms", "most_ms"))]


def _deviations(part: Part) -> list[str]:
    found = [
        (model["name"], way, kind, each)
        for model in part["models"]
        for way in model["ways"]
        for kind, each in way["kinds"].items()
    ]
    decades = sorted({int(decade) for *_, each in found for decade in each["decades"]})
    rows = [
        [
            name,
            f"{way['way']}: {way['runs']}, {way['precision']}",
            kind,
            f"{each['rows']:,}",
            deviation(each["largest"]),
            f"{100 * each['agreement']:.2f} %",
            f"{each['least_cosine']:.6f}",
            *(f"{each['decades'].get(str(decade), 0):,}" for decade in decades),
        ]
        for name, way, kind, each in found
    ]
    heads = ["model", "pitstop", "inputs", "rows", "largest deviation", "agreement", "least cosine"]
    return [
        "Against eager fp32, each row asked alone; pitstop in batches of every warmed size in turn. A row is off by "
        "its largest difference over its largest value; it agrees where the highest entry is the same one. The last "
        "columns count rows by the power of ten of their deviation.",
        "",
        *table([*heads, *(f"1e{decade}" for decade in decades)], rows),
    ]


def _measured(server: Part) -> Measured:
    found: Measured = msgspec.convert(server, Measured, strict=False)
    return found


def _rps(server: Measured, place: int) -> float:
    return middle(server.closed[place].rounds, "rate_rps")


def _best_rps(forward_ms: Mapping[str, float]) -> float:
    return max(1000 * int(rows) / ms for rows, ms in forward_ms.items())


def _span(values: Sequence[float]) -> str:
    return f"{precise(min(values))} to {precise(max(values))}"


_SECTIONS: dict[str, tuple[str, Callable[[Part], list[str]]]] = {
    "servers": ("Over HTTP, beside six servers", _servers),
    "starts": ("Starts", _starts),
    "interpreter": ("The interpreter stays free", _interpreter),
    "deviations": ("Answers beside eager's", _deviations),
}
