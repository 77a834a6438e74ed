"""All that a GPU machine is lent for, in one command: its tests, the five mistakes, and how full pitstop keeps the GPU.

    make bench-gpu                                   # on a machine with a GPU
    python -m benchmarks.gpu --device cpu --quick    # anywhere, to see that it runs

ResNet-50 in each precision, and with ingress replicas in front: images a second and p50/p99 by connections, the raw
forward of the same replica, the live efficiency, and the GPU's utilisation as nvidia-smi samples it meanwhile. Writes
benchmarks/results/gpu_<hardware>_<yyyymm>.json and prints a short table last.
"""

import argparse
import datetime
import json
import subprocess
import sys
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import yaml

from . import cache, machine
from .client.closed import closed
from .peers import PEERS, Peer
from .peers import pitstop as ours
from .peers.peer import Batching, Command, Launch
from .results import file_stem
from .server import running
from .summary import closed_round
from .verify import requests_of
from .workloads import WORKLOADS

_PRECISIONS = ("fp32", "tf32", "bf16", "fp16")
_CONNECTIONS = (1, 8, 32, 128, 256)
_MAX_ROWS = 64


@dataclass(frozen=True, slots=True)
class Variant:
    """One way to serve ResNet-50."""

    precision: str
    ingress_replicas: int

    @property
    def name(self) -> str:
        return f"{self.precision}, {self.ingress_replicas} ingress"


@dataclass(slots=True)
class Found:
    """What one variant did; `gpu_share` is the utilisation, 0 to 1, or None where nobody could say."""

    variant: str
    raw_rows_per_s: float = 0.0
    closed: dict[int, dict[str, Any]] = field(default_factory=dict)
    not_measured: str = ""


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gpu", description=__doc__)
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda", help="cpu: only to see that it runs")
    parser.add_argument("--quick", action="store_true", help="one precision, one ingress replica, short loops")
    parser.add_argument("--out", type=Path, default=cache.PROJECT / "benchmarks" / "results")
    options = parser.parse_args()
    if options.device == "cuda":
        _run([sys.executable, "-m", "pytest", "-m", "gpu"])
        _run([sys.executable, "-m", "benchmarks.five_mistakes"])
    found = [_measure(each, options.device, options.quick) for each in _variants(options.quick)]
    path = _write(found, options.out)
    print(_table(found), f"\n\nwritten to {path}", flush=True)


def _variants(quick: bool) -> list[Variant]:
    if quick:
        return [Variant("fp32", 0), Variant("fp32", 1)]
    return [Variant(precision, 0) for precision in _PRECISIONS] + [Variant("fp16", n) for n in (1, 2, 4)]


def _measure(variant: Variant, device: str, quick: bool) -> Found:
    found = Found(variant.name)
    peer = _peer(variant, device, 4 if quick else _MAX_ROWS)
    workload = WORKLOADS["resnet50"]
    try:
        with running(peer, workload) as server:
            url = f"http://127.0.0.1:{server.port}/v2/models/resnet50"
            forward_ms = _get(url)["properties"]["forward_ms"]
            found.raw_rows_per_s = max(1000 * int(rows) / ms for rows, ms in forward_ms.items())
            requests = requests_of(workload, peer.codec(workload))
            for connections in _CONNECTIONS[:2] if quick else _CONNECTIONS:
                with _utilisation() as samples:
                    sample = closed(("127.0.0.1", server.port), requests, connections, 2 if quick else 6)
                figures = asdict(closed_round(sample, 0.5, 2 if quick else 6))
                live = _get(f"{url}/stats")["model_stats"][0]["pitstop"]
                share = sum(samples) / len(samples) / 100 if samples else None
                found.closed[connections] = {**figures, "gpu_share": share, "live": live}
    except Exception as error:  # One variant that fails must not cost the lent machine's other results.
        found.not_measured = f"{type(error).__name__}: {error}"
    return found


def _peer(variant: Variant, device: str, max_rows: int) -> Peer:
    def command(launch: Launch) -> Command:
        started = PEERS["pitstop"].command(launch)
        path = Path(started.argv[-1])
        raw = yaml.safe_load(path.read_text())
        app = next(app for app in raw["applications"] if app["name"] == "resnet50")
        changed = {"device": device, "precision": variant.precision, "max_rows": max_rows}
        app["args"] = {**app["args"], **changed, "ingress_replicas": variant.ingress_replicas}
        if variant.ingress_replicas:
            entry = {"name": "Ingress", "max_ongoing_requests": 1024, "ray_actor_options": {"num_cpus": 0.5}}
            app["deployments"] = [*app["deployments"], entry]
        path.write_text(yaml.safe_dump(raw, sort_keys=False))
        return started

    return replace(ours.PEER, command=command, batching={"resnet50": Batching(max_rows, 0)})


@contextmanager
def _utilisation() -> Iterator[list[float]]:
    """Collect the GPU's utilisation in percent, ten times a second; nothing where there is no nvidia-smi."""
    samples: list[float] = []
    query = ["nvidia-smi", "--query-gpu=utilization.gpu", "--format=csv,noheader,nounits", "-lms", "100"]
    try:
        sampler = subprocess.Popen(query, stdout=subprocess.PIPE, text=True)
    except FileNotFoundError:
        yield samples
        return
    try:
        yield samples
    finally:
        sampler.terminate()
        text, _ = sampler.communicate()
        samples += [float(line) for line in text.split() if line.replace(".", "").isdigit()]


def _get(url: str) -> Any:
    with urllib.request.urlopen(url, timeout=30) as answer:
        return json.load(answer)


def _run(command: Sequence[str]) -> None:
    print(" ".join(command), flush=True)
    subprocess.run(command, cwd=cache.PROJECT, check=False)


def _write(found: Sequence[Found], out: Path) -> Path:
    date = datetime.datetime.now().astimezone().isoformat(timespec="seconds")
    hardware = {**machine.hardware(), "gpu": _gpu()}
    content = {
        "hardware": hardware,
        "versions": machine.versions(),
        "commit": machine.commit(),
        "command": " ".join(["python", "-m", "benchmarks.gpu", *sys.argv[1:]]),
        "date": date,
        "variants": [asdict(each) for each in found],
    }
    out.mkdir(parents=True, exist_ok=True)
    path = out / f"{file_stem('gpu', hardware, date)}.json"
    path.write_text(json.dumps(content, indent=1) + "\n")
    return path


def _gpu() -> str | None:
    query = ["nvidia-smi", "--query-gpu=name", "--format=csv,noheader"]
    try:
        return subprocess.run(query, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return None


def _table(found: Sequence[Found]) -> str:
    lines = [
        "| variant | raw rows/s | best rows/s | of raw | p50 / p99 ms at c=1 | GPU busy |",
        "|---|---|---|---|---|---|",
    ]
    for each in found:
        if not each.closed:
            lines.append(f"| {each.variant} | not measured: {each.not_measured} | | | | |")
            continue
        best, single = max(each.closed.values(), key=lambda round_: round_["rate_rps"]), each.closed[1]
        busy = "" if best["gpu_share"] is None else f"{best['gpu_share']:.0%}"
        lines.append(
            f"| {each.variant} | {each.raw_rows_per_s:,.0f} | {best['rate_rps']:,.0f} |"
            f" {best['rate_rps'] / each.raw_rows_per_s:.0%} |"
            f" {single['p50_ms']:.2f} / {single['p99_ms']:.2f} | {busy} |"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    main()
