"""All that a GPU machine is lent for, in one command: tests, servers beside each other, ways to serve, mistakes, costs.

    make bench-gpu                                            # on a machine with a GPU: about ten minutes
    python -m benchmarks.gpu --only variants --device cpu --quick    # anywhere, to see that it runs

tests: those that hold on a GPU alone. servers: ResNet-50 in fp16, pitstop beside the peers (benchmarks.run). variants:
pitstop in each precision, with ingress replicas, with more threads of HAProxy, without CUDA graphs. mistakes: what the
five mistakes cost on this GPU. compare: a GPU replica and a CPU replica of the same model, at one latency target.

Each part writes its files as soon as it has them; a short table comes last.
"""

import argparse
import datetime
import json
import os
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import yaml

from . import cache, machine
from .client.closed import closed
from .device import Device, chosen, gpu_name
from .measure import closed_loops
from .peers.pitstop import PEER, changed, model_of
from .results import Closed, file_stem
from .run import prepare
from .server import NotMeasuredError, running
from .summary import middle
from .table import number
from .verify import requests_of, verify
from .workloads import WORKLOADS, Workload, on_gpu, quick

PARTS = ("tests", "servers", "variants", "mistakes", "compare")
_PEERS = "pitstop,triton,mosec,litserve,bentoml,torchserve,ray_serve"
_MODEL = "resnet50"
_WARM_S = 2.0
# One H100, and two cores of which one is left to what surrounds the replica.
_GPU_MACHINE, _CPU_MACHINE = "p5.4xlarge", "c6in.xlarge"
_SLO_MS = 1000
_ROWS_ON_A_CORE = 8


@dataclass(frozen=True, slots=True)
class Variant:
    """One way to serve ResNet-50 with pitstop."""

    precision: str = "fp16"
    ingress_replicas: int = 0
    haproxy_threads: int = 1
    cuda_graphs: bool = True

    @property
    def name(self) -> str:
        more = [
            f"{self.ingress_replicas} ingress" if self.ingress_replicas else "",
            f"HAProxy on {self.haproxy_threads} threads" if self.haproxy_threads > 1 else "",
            "" if self.cuda_graphs else "no CUDA graphs",
        ]
        return ", ".join([self.precision, *filter(None, more)])

    def edit(self, raw: dict[str, Any]) -> None:
        """Write the variant into a config."""
        app = model_of(raw, _MODEL)
        app["args"] = {
            **app["args"],
            "precision": self.precision,
            "cuda_graphs": self.cuda_graphs,
            "ingress_replicas": self.ingress_replicas,
        }
        if self.ingress_replicas:
            entry = {"name": "Ingress", "max_ongoing_requests": 1024, "ray_actor_options": {"num_cpus": 0.5}}
            app["deployments"] = [*app["deployments"], entry]
        for owner in [raw["controller_options"], *raw["applications"]]:
            owner["runtime_env"]["env_vars"]["RAY_SERVE_HAPROXY_NBTHREAD"] = str(self.haproxy_threads)


VARIANTS = (
    Variant(),
    Variant(cuda_graphs=False),
    Variant(haproxy_threads=4),
    Variant(ingress_replicas=2, haproxy_threads=4),
    Variant(ingress_replicas=4, haproxy_threads=4),
    Variant(ingress_replicas=8, haproxy_threads=4),
    Variant("bf16"),
    Variant("fp32"),
    Variant("tf32"),
)


@dataclass(slots=True)
class Found:
    """What one variant did; `raw_rows_per_s` is its own forward's best, as the start timed it, copies included."""

    variant: str
    raw_rows_per_s: float = 0.0
    forward_ms: dict[str, float] = field(default_factory=dict)
    closed: list[Closed] = field(default_factory=list)
    live: dict[str, Any] = field(default_factory=dict)
    started_s: float = 0.0
    not_measured: str = ""


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gpu", description=__doc__.partition("\n")[0])
    parser.add_argument("--only", default=",".join(PARTS), help=f"some of {','.join(PARTS)}")
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda", help="cpu: only to see that it runs")
    parser.add_argument("--peers", default=_PEERS, help="the servers to compare; all by default")
    parser.add_argument("--quick", action="store_true", help="few variants and peers, short loops")
    parser.add_argument("--out", type=Path, default=cache.PROJECT / "benchmarks" / "results")
    options = parser.parse_args()
    parts = options.only.split(",")
    if unknown := sorted(set(parts) - set(PARTS)):
        parser.error(f"{', '.join(unknown)}: there is {', '.join(PARTS)}")
    options.out.mkdir(parents=True, exist_ok=True)
    # Asked to stop, it unwinds as after Ctrl-C, and takes the server it has started with it.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    for part in parts:
        print(f"{datetime.datetime.now():%H:%M:%S} {part}", flush=True)
        if part == "compare":
            _compare(options)
        elif part == "variants":
            print(_variants(options), flush=True)
        else:
            _run(_command(part, options))


def _command(part: str, options: argparse.Namespace) -> Sequence[str]:
    python, out = sys.executable, ["--out", str(options.out)]
    short = ["--quick"] if options.quick else []
    where = ["--device", options.device, *(["--precision", "fp16"] if options.device == "cuda" else [])]
    return {
        "tests": [python, "-m", "pytest", "-m", "gpu", "tests/gpu", "tests/pitstop/test_audit_models.py"],
        "servers": [
            python,
            "-m",
            "benchmarks.run",
            "--workloads",
            _MODEL,
            "--only",
            options.peers,
            *where,
            *short,
            *out,
        ],
        # Without torch.compile, whose own compiling would cost more than all else here.
        "mistakes": [python, "-m", "benchmarks.five_mistakes", "--quick", *out],
    }[part]


def _compare(options: argparse.Namespace) -> None:
    """Price one replica on the device and one on a core, as `pitstop compare` does for a user."""
    os.environ.update(Device(options.device, "fp16" if options.device == "cuda" else "fp32").environment)
    folder = options.out / f"compare_{machine.hardware(gpu_name())['slug']}"
    prices = ("--gpu-instance", _GPU_MACHINE, "--cpu-instance", _CPU_MACHINE)
    asked = ("--slo-ms", str(_SLO_MS), "--seconds", "1" if options.quick else "3", "--report", str(folder))
    try:
        with running(changed(_beside_a_core), on_gpu(WORKLOADS[_MODEL])) as server:
            url = ("--url", f"http://127.0.0.1:{server.port}")
            _run([sys.executable, "-m", "pitstop", "compare", _MODEL, f"{_MODEL}-cpu", *asked, *prices, *url])
    except NotMeasuredError as error:
        print(f"compare: not measured: {error}", flush=True)


def _beside_a_core(raw: dict[str, Any]) -> None:
    """Add the CPU replica that the shipped config has beside the GPU's."""
    whole = yaml.safe_load((cache.PROJECT / "configs" / f"{_MODEL}.yaml").read_text())
    twin = model_of(whole, f"{_MODEL}-cpu")
    # A core is fastest at a few rows, and its start would run all of many rows while the GPU waits.
    twin["args"] = {**twin["args"], "max_rows": _ROWS_ON_A_CORE}
    raw["applications"].append({**twin, "runtime_env": model_of(raw, _MODEL)["runtime_env"]})


def _run(command: Sequence[str]) -> None:
    """Run a part; whatever becomes of it, the others are still worth their time."""
    print(" ".join(command[1:]), flush=True)
    status = subprocess.run(command, cwd=cache.PROJECT, check=False).returncode
    print(f"ended with {status}", flush=True)


def _variants(options: argparse.Namespace) -> str:
    """Measure every variant; stop where the first, the plain one, cannot be: then none can."""
    workload = WORKLOADS[_MODEL] if options.device == "cpu" else on_gpu(WORKLOADS[_MODEL])
    workload = replace(quick(workload) if options.quick else workload, rounds=1)
    cpu = (Variant("fp32"), Variant("fp32", ingress_replicas=1))
    variants = cpu if options.device == "cpu" else VARIANTS[:1] if options.quick else VARIANTS
    # For the answers that are expected: fp32's, whatever the precision.
    prepare(workload)
    found: list[Found] = []
    for variant in variants:
        found.append(_measure(variant, workload, options.device))
        path = _write(found, options.out)
        print(_row(found[-1]), flush=True)
        if not found[0].closed:
            break
    return f"{_table(found)}\n\nwritten to {path.name}"


def _measure(variant: Variant, workload: Workload, device: str) -> Found:
    found = Found(variant.name)
    os.environ.update(Device(device, variant.precision).environment)
    try:
        with running(changed(variant.edit), workload) as server:
            address, found.started_s = ("127.0.0.1", server.port), server.started_s
            url = f"http://127.0.0.1:{server.port}/v2/models/{_MODEL}"
            found.forward_ms = _get(url)["properties"]["forward_ms"]
            found.raw_rows_per_s = max(1000 * int(rows) / ms for rows, ms in found.forward_ms.items())
            codec = PEER.codec(workload)
            requests = requests_of(workload, codec)
            verify(address, workload, codec, requests)
            closed(address, requests, workload.connections[-1], _WARM_S)
            found.closed = closed_loops(address, workload, requests)
            found.live = _get(f"{url}/stats")["model_stats"][0]["pitstop"]
    except Exception as error:  # One variant that fails must not cost the lent machine's other results.
        found.not_measured = f"{type(error).__name__}: {error}"
    return found


def _get(url: str) -> Any:
    with urllib.request.urlopen(url, timeout=30) as answer:
        return json.load(answer)


def _write(found: Sequence[Found], out: Path) -> Path:
    date = datetime.datetime.now().astimezone().isoformat(timespec="seconds")
    hardware = machine.hardware(gpu_name() if chosen().is_gpu else None)
    content = {
        "hardware": hardware,
        "versions": machine.versions(),
        "commit": machine.commit(),
        "command": " ".join(["python", "-m", "benchmarks.gpu", *sys.argv[1:]]),
        "date": date,
        "variants": [asdict(each) for each in found],
    }
    path = out / f"{file_stem('ways', hardware, date)}.json"
    path.write_text(json.dumps(content, indent=1) + "\n")
    path.with_suffix(".md").write_text(_page(content, _table(found)))
    return path


def _page(content: dict[str, Any], table: str) -> str:
    hardware, versions = content["hardware"], content["versions"]
    where = f"{hardware.get('gpu', '')} {hardware['cpu']}, {hardware['cores']} cores, {hardware['memory_gib']} GiB"
    told = ", ".join(f"{name} {version}" for name, version in versions.items())
    return (
        f"# Ways to serve {_MODEL}, {content['date'][:10]}\n\n"
        f"{where.strip()}; {told}; commit {content['commit']}.\n\n"
        f"    {content['command']}\n\n{table}\n\n"
        "Raw: the replica's own forward at its best batch size, copies to and from the device included, as its start "
        "timed it, one batch at a time; batches that overlap can be faster. All other columns: through HTTP, closed "
        "loop.\n"
    )


def _table(found: Sequence[Found]) -> str:
    connections = next(([each.connections for each in one.closed] for one in found if one.closed), [])
    loops = [f"c={each}: rows/s, p50 / p99 ms" for each in connections]
    head = ["variant", "raw rows/s", "one row, ms", *loops, "of raw", "GPU busy", "client, cores"]
    return "\n".join([_cells(head), _cells(["---"] * len(head)), *map(_row, found)])


def _row(found: Found) -> str:
    if not found.closed:
        return _cells([found.variant, f"not measured: {found.not_measured}"])
    loops = [
        f"{number(middle(each.rounds, 'rate_rps'))}, {number(middle(each.rounds, 'p50_ms'))} / "
        f"{number(middle(each.rounds, 'p99_ms'))}"
        for each in found.closed
    ]
    last = found.closed[-1].rounds[-1]
    busy = "" if last.gpu_busy is None else f"{last.gpu_busy:.0%}"
    share = f"{last.rate_rps / found.raw_rows_per_s:.0%}"
    one = number(min(found.forward_ms.items(), key=lambda each: int(each[0]))[1])
    return _cells([found.variant, number(found.raw_rows_per_s), one, *loops, share, busy, f"{last.client_cpu:.2f}"])


def _cells(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"


if __name__ == "__main__":
    main()
