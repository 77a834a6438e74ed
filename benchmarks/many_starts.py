"""How long several models take from `pitstop run` until they answer, and where the CPU time goes.

    python -m benchmarks.many_starts                   # writes results/many-starts_<hardware>_<yyyymm>.json and .md
    python -m benchmarks.many_starts --rounds 1 --models 1,8 --out DIR

The models are copies of digits on the CPU. Each run has an empty cache, so the first of them measures, and the others
take what it found. Two ways in turns: as shipped, and with Serve building each application in a process of its own. The
CPU time is read twice a second: up to the last half second of each process is not counted.
"""

import argparse
import copy
import os
import statistics
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from configs.document import application
from pitstop import processes
from pitstop.measure import results
from pitstop.report.markdown import table

from . import script
from .run_times import running, until_ready

SHIPPED, BY_SERVE = "as shipped", "built by Serve"
_CALLBACK = "RAY_SERVE_CONTROLLER_CALLBACK_IMPORT_PATH"
# What deployments.haproxy:install does, but for the builds.
_WITHOUT_BUILDS = "deployments.ray_compat.haproxy:replace_manager"
_EVERY_S = 0.5
_PARTS = ("builds", "replicas", "rest")
_REPLICA, _BUILD = "ServeReplica", "ApplicationBuilder"


def main() -> None:
    script.unwind_on_sigterm()
    parser = script.parser("benchmarks.many_starts", __doc__)
    parser.add_argument("--rounds", type=int, default=5, help="how often each is measured")
    parser.add_argument("--models", type=_counts, default=(1, 4, 8), help="numbers of models")
    options = parser.parse_args()
    counts = ",".join(map(str, options.models))
    head = results.head(["python", "-m", "benchmarks.many_starts", "--rounds", str(options.rounds), "--models", counts])
    print(write(options.out, head, measured(options.rounds, options.models)))


def measured(rounds: int, counts: tuple[int, ...]) -> list[dict[str, Any]]:
    """Return a row for each number of models and way: seconds until ready and of CPU, by round."""
    rows: list[dict[str, Any]] = [
        {"models": count, "way": way, "s": [], "cpu_s": []} for count in counts for way in (SHIPPED, BY_SERVE)
    ]
    for number in range(rounds):
        for row in rows if number % 2 == 0 else reversed(rows):
            script.say(f"round {number + 1} of {rounds}: {row['models']} models, {row['way']}")
            took_s, cpu_s = _started(row["models"], row["way"])
            row["s"].append(took_s)
            row["cpu_s"].append(cpu_s)
    return rows


def write(folder: Path, head: Mapping[str, Any], rows: list[dict[str, Any]]) -> str:
    """Write both files and return the table."""
    content = {"theme": "many-starts", **head, "rows": rows}
    shown = [
        [
            str(row["models"]),
            row["way"],
            f"{statistics.median(row['s']):.1f}",
            f"{min(row['s']):.1f} to {max(row['s']):.1f}",
            *(f"{statistics.median(each[part] for each in row['cpu_s']):.1f}" for part in _PARTS),
        ]
        for row in rows
    ]
    heads = ["models", "way", "median, s", "all, s", "CPU of builds, s", "of replicas, s", "of all else, s"]
    lines = [
        "# How long several models take to start",
        "",
        f"{results.told(content)} `{content['command']}`.",
        "",
        "Seconds from the start of `pitstop run` until it says that all are ready, and the CPU time of the processes.",
        "Workers that Ray starts ahead count as builds, since both have one name.",
        "",
        *table(heads, shown),
    ]
    text = "\n".join(lines)
    results.write(folder, results.stem("many-starts", content), content, text)
    return text


def _counts(text: str) -> tuple[int, ...]:
    counts = tuple(int(each) for each in text.split(","))
    if min(counts) < 1:
        raise argparse.ArgumentTypeError(f"{text}: numbers of models are 1 or more")
    return counts


def _started(count: int, way: str) -> tuple[float, dict[str, float]]:
    with tempfile.TemporaryDirectory() as cache, script.environment({"PITSTOP_CACHE": cache}):
        began = time.monotonic()
        with running(lambda raw: _edit(raw, count, way)) as (process, mark, _), _cpu_by_part(mark) as cpu_s:
            until_ready(process)
            took_s = time.monotonic() - began
    return took_s, cpu_s


def _edit(raw: dict[str, Any], count: int, way: str) -> None:
    """Leave copies of one model in a config, to be built this way."""
    model, root = application(raw, "digits-cpu"), application(raw, "root")
    raw["applications"] = [root, *(_copy(model, f"m{number}") for number in range(count))]
    if way == BY_SERVE:
        for owner in [raw["controller_options"], *raw["applications"]]:
            owner["runtime_env"]["env_vars"][_CALLBACK] = _WITHOUT_BUILDS


def _copy(model: Mapping[str, Any], name: str) -> dict[str, Any]:
    found = copy.deepcopy(dict(model))
    found |= {"name": name, "route_prefix": f"/v2/models/{name}"}
    found["args"] |= {"name": name, "num_cpus": 0.01}
    return found


@contextmanager
def _cpu_by_part(mark: str) -> Iterator[dict[str, float]]:
    """Fill in the CPU seconds of builds, replicas and the rest, once the block is left."""
    seen: dict[int, tuple[str, float]] = {}
    parts, stop = dict.fromkeys(_PARTS, 0.0), threading.Event()

    def look() -> None:
        for pid, line in processes.of(None, mark).items():
            if (cpu_s := _cpu_s(pid)) is not None:
                seen[pid] = line, cpu_s

    def watch() -> None:
        while not stop.wait(_EVERY_S):
            look()

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield parts
        look()
    finally:
        stop.set()
        thread.join()
    for line, cpu_s in seen.values():
        parts[_part(line)] += cpu_s


def _part(line: str) -> str:
    if _REPLICA in line:
        return "replicas"
    # A task renames its worker only while it runs.
    return "builds" if _BUILD in line or "build_serve_application" in line or "ray::IDLE" in line else "rest"


def _cpu_s(pid: int) -> float | None:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


if __name__ == "__main__":
    main()
