"""The parts as Markdown, each under the head of the run that measured it; from what the JSON holds."""

from collections.abc import Callable, Mapping
from statistics import median

from pitstop.measure.results import told
from pitstop.report.markdown import table
from pitstop.report.numbers import TIMES, deviation, precise

from . import servers_table
from .servers_table import Part, span
from .starts import BEFORE, beyond_torch_s


def render(parts: Mapping[str, Part]) -> str:
    """Return the whole report; parts that were not measured are left out."""
    lines = ["# The forward that pitstop finds"]
    for name, (title, section) in _SECTIONS.items():
        if part := parts.get(name):
            head = [f"## {title}", "", told(part), "", f"    {part['command']}", ""]
            lines += ["", *head, *section(part)]
    return "\n".join(lines)


def _starts(part: Part) -> list[str]:
    lines = [
        "From the start of the process to a model that is ready, without Ray and without `import torch`, which each "
        "start times for itself. All files are in the system's memory. "
        f"*{BEFORE}* is commit {part['before']}. Medians of as many turns as there are starts, and their range.",
        "",
    ]
    rows = []
    for model in part["models"]:
        if not model["starts"]:  # The turn of the model has not come yet.
            continue
        before = median(map(beyond_torch_s, model["starts"][BEFORE]))
        for way, starts in model["starts"].items():
            seconds = [*map(beyond_torch_s, starts)]
            runs = ", ".join(sorted({f"{each['how']}, {each['precision']}" for each in starts}))
            torch_s = f"{median(each['torch_s'] for each in starts):.2f}"
            times = f"{median(seconds) / before:.2f} {TIMES}"
            rows.append([model["name"], way, runs, f"{median(seconds):.2f} ({span(seconds)})", times, torch_s])
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


_SECTIONS: dict[str, tuple[str, Callable[[Part], list[str]]]] = {
    "servers": ("Over HTTP, beside six servers", servers_table.lines_of),
    "starts": ("Starts", _starts),
    "interpreter": ("The interpreter stays free", _interpreter),
    "deviations": ("Answers beside eager's", _deviations),
}
