"""Ways to serve ResNet-50 on a GPU with pitstop: precisions, CUDA graphs, ingress replicas, threads of HAProxy.

Part of benchmarks.gpu. Writes ways_<gpu>_<yyyymm>.{json,md} after each way, so that a run cut short keeps what it has.
"""

import datetime
import json
import os
import sys
import urllib.request
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from configs.document import application
from pitstop.report.markdown import table
from pitstop.report.numbers import precise

from . import machine
from .client.closed import closed
from .device import Device, chosen, gpu_name
from .measure import closed_loops
from .peers.pitstop import PEER, changed, read_by
from .results import Closed, file_stem
from .run import prepare
from .server import running
from .summary import middle
from .verify import requests_of, verify
from .workloads import WORKLOADS, Workload, on_gpu, quick

_MODEL = "resnet50"
_WARM_S = 2.0


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
        app = application(raw, _MODEL)
        app["args"] = {**app["args"], "precision": self.precision, "cuda_graphs": self.cuda_graphs}
        if self.ingress_replicas:
            read_by(raw, _MODEL, self.ingress_replicas)
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
    # From `serve run` to readiness, and of that the model's own steps.
    started_s: float = 0.0
    replica_s: dict[str, float] = field(default_factory=dict)
    not_measured: str = ""


def measured(device: str, short: bool, out: Path) -> str:
    """Measure every variant and return the table; stop where the first, the plain one, cannot be: then none can.

    Args:
        device: cuda; or cpu, to see that it runs.
        short: the first variant only, in short loops.
        out: folder of the files.
    """
    workload = WORKLOADS[_MODEL] if device == "cpu" else on_gpu(WORKLOADS[_MODEL])
    workload = replace(quick(workload) if short else workload, rounds=1)
    cpu = (Variant("fp32"), Variant("fp32", ingress_replicas=1))
    variants = cpu if device == "cpu" else VARIANTS[:1] if short else VARIANTS
    # For the answers that are expected: fp32's, whatever the precision.
    prepare(workload)
    found: list[Found] = []
    for variant in variants:
        found.append(_measure(variant, workload, device))
        path = _write(found, out)
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
            told = _get(url)["properties"]
            found.forward_ms, found.replica_s = told["forward_ms"], told["start_s"]
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


def _page(content: dict[str, Any], ways: str) -> str:
    hardware, versions = content["hardware"], content["versions"]
    where = f"{hardware.get('gpu', '')} {hardware['cpu']}, {hardware['cores']} cores, {hardware['memory_gib']} GiB"
    told = ", ".join(f"{name} {version}" for name, version in versions.items())
    return (
        f"# Ways to serve {_MODEL}, {content['date'][:10]}\n\n"
        f"{where.strip()}; {told}; commit {content['commit']}.\n\n"
        f"    {content['command']}\n\n{ways}\n\n"
        "Raw: the replica's own forward at its best batch size, copies to and from the device included, as its start "
        "timed it, one batch at a time; batches that overlap can be faster. All other columns: through HTTP, closed "
        "loop.\n"
    )


def _table(found: Sequence[Found]) -> str:
    connections = next(([each.connections for each in one.closed] for one in found if one.closed), [])
    loops = [f"c={each}: rows/s, p50 / p99 ms" for each in connections]
    head = ["variant", "raw rows/s", "one row, ms", *loops, "of raw", "GPU busy", "client, cores"]
    return "\n".join(table(head, map(_row, found)))


def _row(found: Found) -> list[str]:
    if not found.closed:
        return [found.variant, f"not measured: {found.not_measured}"]
    loops = [
        f"{precise(middle(each.rounds, 'rate_rps'))}, {precise(middle(each.rounds, 'p50_ms'))} / "
        f"{precise(middle(each.rounds, 'p99_ms'))}"
        for each in found.closed
    ]
    last = found.closed[-1].rounds[-1]
    busy = "" if last.gpu_busy is None else f"{last.gpu_busy:.0%}"
    share = f"{last.rate_rps / found.raw_rows_per_s:.0%}"
    one = precise(min(found.forward_ms.items(), key=lambda each: int(each[0]))[1])
    return [found.variant, precise(found.raw_rows_per_s), one, *loops, share, busy, f"{last.client_cpu:.2f}"]
