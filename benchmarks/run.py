"""Measures every server on every workload, in passes, and writes the results: python -m benchmarks.run."""

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from pitstop.measure.results import head

from . import cache, script, table
from .device import PRECISIONS, Device, chosen
from .measure import measure
from .peers import PEERS
from .results import Limit, Measured, Results, merged, read, write
from .server import KEEPS_FREED, ONE_THREAD
from .workloads import WORKLOADS, Workload, on_gpu, quick

_THREADS = (
    "Every server runs one model process with one torch thread, and malloc keeps what a forward frees; the client "
    "shares the machine."
)
_ON_GPU = (
    "Every server runs the same {precision} TorchScript on the GPU in batches of up to 64, padded to powers of two, "
    "with cuDNN's search on: pitstop in one model process, the others in two; the client shares the machine. pitstop "
    "replays it from CUDA graphs, from pinned memory; the limit and the others launch its kernels one by one. How long "
    "the others wait for a batch has not been tuned on a GPU."
)
_LIMIT_S = 600


def main(arguments: Sequence[str] | None = None) -> None:
    given = list(sys.argv[1:] if arguments is None else arguments)
    options = parse(given)
    script.unwind_on_sigterm()
    os.environ.update(Device(options.device, options.precision).environment)
    results = _results(given, "quick" if options.quick else "servers")
    whole = _whole(options.again, results) if options.again else None
    for name in options.workloads:
        workload = on_gpu(WORKLOADS[name]) if chosen().is_gpu else WORKLOADS[name]
        workload = quick(workload) if options.quick else workload
        for _ in _measured(results, workload, options.only):
            # A run that is cut short keeps what it has, and leaves alone what an earlier whole one has left.
            write(results, options.partly, table.render(results))
    if whole is not None:
        whole.replace(results)
        results, options.out = whole, options.again.parent
    path = write(results, options.out, table.render(results))
    print(f"\n{table.render(results)}\n\nwritten to {path}")


def parse(given: Sequence[str]) -> argparse.Namespace:
    """Read the command line; an unknown name ends the program with those there are."""
    parser = script.parser("benchmarks.run", __doc__, out=None)
    parser.add_argument("--quick", action="store_true", help="one short round of each, to see that everything runs")
    parser.add_argument("--only", type=script.names(PEERS), default=list(PEERS), help=f"some of {','.join(PEERS)}")
    parser.add_argument(
        "--workloads", type=script.names(WORKLOADS), default=list(WORKLOADS), help=f"some of {','.join(WORKLOADS)}"
    )
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu", help="where every server's model runs")
    parser.add_argument("--precision", choices=PRECISIONS, default="fp32", help="of the model, on a GPU")
    parser.add_argument(
        "--again", type=Path, metavar="JSON", help="a whole run's file, in which these workloads are to be replaced"
    )
    options = parser.parse_args(given)
    options.partly = options.out or cache.root() / "results"
    if options.device == "cpu" and options.precision != "fp32":
        parser.error("--precision is for --device cuda: the peers' CPU models are fp32")
    if options.again is not None and (options.quick or options.only != list(PEERS)):
        parser.error("--again measures a workload as the whole run did: without --quick and --only")
    if options.out is None:
        # What is kept in the repository is whole: anything less goes to the cache.
        whole = not options.quick and options.only == list(PEERS) and options.workloads == list(WORKLOADS)
        options.out = script.RESULTS if whole else cache.root() / "results"
    return options


def _measured(results: Results, workload: Workload, peers: Sequence[str]) -> Iterator[None]:
    """Measure the limit and every server, several times in turn, and yield after each start of one."""
    prepare(workload)
    limit = Limit(workload.name)
    results.limits.append(limit)
    before = list(results.servers)
    starts: dict[str, list[Measured]] = {peer: [] for peer in peers}
    for number in range(workload.passes):
        measure_limit(limit, 1)
        # There and back: what a machine does in the course of an hour then falls on all alike.
        for peer in peers if number % 2 == 0 else reversed(peers):
            script.say(f"{workload.name}, pass {number + 1} of {workload.passes}: {PEERS[peer].name}")
            measured = measure(PEERS[peer], workload if number == 0 else replace(workload, memory_requests=()))
            starts[peer].append(measured)
            if measured.not_measured:
                script.say(f"{workload.name}: {measured.server} not measured: {measured.not_measured}")
            results.servers[:] = [*before, *(merged(each) for each in starts.values() if each)]
            yield
    measure_limit(limit, 1)
    yield


def prepare(workload: Workload) -> None:
    """Make the workload's TorchScript file and the answers that are expected, where the cache lacks them."""
    script.say(f"{workload.name}: preparing the model")
    subprocess.run([sys.executable, "-m", "benchmarks.artefacts", workload.name], check=True, cwd=cache.PROJECT)


def measure_limit(limit: Limit, rounds: int) -> None:
    """Add rounds of the forward alone, in a process of its own, on one thread."""
    script.say(f"{limit.workload}: in process, no server")
    environment = {**os.environ, **ONE_THREAD, **KEEPS_FREED}
    command = [sys.executable, "-W", "ignore", "-m", "benchmarks.limit", limit.workload, str(rounds)]
    found = subprocess.run(
        command, check=True, cwd=cache.PROJECT, env=environment, stdout=subprocess.PIPE, timeout=_LIMIT_S
    )
    limit.rounds += [{int(rows): ms for rows, ms in each.items()} for each in json.loads(found.stdout)]


def _results(given: Sequence[str], theme: str) -> Results:
    threads = _ON_GPU.format(precision=chosen().precision) if chosen().is_gpu else _THREADS
    return Results(theme, threads=threads, **head(["python", "-m", "benchmarks.run", *given], chosen().is_gpu))


def _whole(path: Path, results: Results) -> Results:
    """Read a whole run into which these results will go; where they cannot, say so before they are measured."""
    try:
        whole = read(path)
        whole.refuse_others(results)
    except (OSError, ValueError) as error:
        sys.exit(f"--again {path}: {error}")
    return whole


if __name__ == "__main__":
    main()
