"""The results as Markdown: for each workload a table in closed loop and one in open loop, with the ceiling first."""

from collections.abc import Sequence
from statistics import median

from pitstop.measure.results import told
from pitstop.report.markdown import table
from pitstop.report.numbers import precise

from .results import Limit, Measured, Results
from .summary import middle, spread
from .workloads import WORKLOADS


def render(results: Results) -> str:
    """Return the whole report, without a line break at its end."""
    parts = [_head(results)]
    for limit in results.limits:
        parts.append(_workload(results, limit))
    return "\n\n".join(parts)


def best(limit: Limit) -> tuple[int, float]:
    """Return the batch size with the most rows a second, and that rate; medians over the rounds."""
    rates = {rows: 1000 * rows / median(each[rows] for each in limit.rounds) for rows in limit.rounds[0]}
    rows = max(rates, key=lambda size: rates[size])
    return rows, rates[rows]


def _head(results: Results) -> str:
    return "\n".join(
        [
            f"# {results.theme}",
            "",
            f"{told(vars(results))} {results.threads}",
            "",
            f"    {results.command}",
            "",
            "Medians over the rounds, each in a pass of its own unless on a GPU; ± is half the range over the rounds. "
            "How it is measured: benchmarks/README.md.",
        ]
    )


def _workload(results: Results, limit: Limit) -> str:
    measured = results.of(limit.workload)
    good = [each for each in measured if not each.not_measured]
    lines = [f"## {limit.workload}: {WORKLOADS[limit.workload].what}", ""]
    if again := results.again.get(limit.workload):
        lines += [f"Measured again, all its servers in one run: {again.date}, commit {again.commit}.", ""]
        lines += [f"    {again.command}", ""]
    if good:
        lines += [*_closed(good, limit), "", *_open(good), ""]
    lines += [f"- {each.server}: not measured: {each.not_measured}" for each in measured if each.not_measured]
    lines += [line for each in good for line in remarks(each)]
    return "\n".join(lines).rstrip()


def _closed(measured: Sequence[Measured], limit: Limit) -> list[str]:
    names = [f"c={loop.connections} {figure}" for loop in measured[0].closed for figure in ("rps", "p50 / p99 ms")]
    busy = ["GPU busy"] if measured[0].closed[-1].rounds[0].gpu_busy is not None else []
    rows = []
    if limit.rounds:
        size, _ = best(limit)
        single_ms = median(each[1] for each in limit.rounds)
        between = [""] * 2 * (len(measured[0].closed) - 2)
        top = f"{rate([1000 * size / each[size] for each in limit.rounds])} by batches of {size}"
        single = [precise(1000 / single_ms), precise(single_ms)]
        rows.append(["*in process, no server*", *single, *between, top, "", "100 %", "0", "", *["" for _ in busy]])
    rows += [_figures(each, limit) for each in measured]
    return table(["server", *names, "of the limit", "over the forward, ms", "memory MiB", *busy], rows)


def _figures(measured: Measured, limit: Limit) -> list[str]:
    cells = [measured.server]
    for loop in measured.closed:
        cells += [
            rate([each.rate_rps for each in loop.rounds]),
            f"{precise(middle(loop.rounds, 'p50_ms'))} / {precise(middle(loop.rounds, 'p99_ms'))}",
        ]
    busy = [f"{each.gpu_busy:.0%}" for each in measured.closed[-1].rounds[-1:] if each.gpu_busy is not None]
    if not limit.rounds:
        return [*cells, "", "", precise(measured.memory_mib), *busy]
    share = middle(measured.closed[-1].rounds, "rate_rps") / best(limit)[1]
    over_ms = middle(measured.closed[0].rounds, "p50_ms") - median(each[1] for each in limit.rounds)
    return [*cells, f"{100 * share:.1f} %", precise(over_ms), precise(measured.memory_mib), *busy]


def _open(measured: Sequence[Measured]) -> list[str]:
    names = [f"{100 * loop.load:.0f} %: p50 / p99 ms" for loop in measured[0].open]
    rows = []
    for each in measured:
        cells = [each.server, precise(middle(each.closed[-1].rounds, "rate_rps"))]
        cells += [f"{precise(middle(o.rounds, 'p50_ms'))} / {precise(middle(o.rounds, 'p99_ms'))}" for o in each.open]
        rows.append(cells)
    return table(["server, Poisson arrivals", "capacity rps", *names], rows)


def remarks(measured: Measured) -> list[str]:
    """Return how a server was set, what failed, and its memory by requests, a line each."""
    wait = "a wait that adapts" if measured.wait_ms is None else f"a wait of {measured.wait_ms:g} ms"
    batching = f"up to {measured.max_batch_size} rows, {wait}"
    versions = ", ".join(f"{name} {version}" for name, version in measured.versions.items())
    lines = [f"- {measured.server}: {'; '.join(each for each in (versions, measured.settings, batching) if each)}"]
    loops = [(f"c={loop.connections}", loop.rounds) for loop in measured.closed]
    loops += [(f"open {100 * loop.load:.0f} %", loop.rounds) for loop in measured.open]
    for name, rounds in loops:
        for kind in sorted({kind for each in rounds for kind in each.errors}):
            count = sum(each.errors.get(kind, 0) for each in rounds)
            lines.append(f"- {measured.server}, {name}: {count:,} failed, {kind}")
    lines += [f"- {measured.server}: one of its starts not measured: {reason}" for reason in measured.missed]
    if measured.watched_mib:
        found = ", ".join(f"{mib:,.1f} MiB after {count:,}" for count, mib in measured.watched_mib.items())
        lines.append(f"- {measured.server}, memory of the replica by requests: {found}")
    return lines


def rate(rates_rps: Sequence[float]) -> str:
    """Return the median over the rounds, and how far they lie apart where there are several."""
    centre = precise(median(rates_rps))
    return centre if len(rates_rps) == 1 else f"{centre} ± {100 * spread(rates_rps):.0f} %"
