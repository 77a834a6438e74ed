"""What each way of a gRPC call costs: through the front, in one hop, by a front that goes on by gRPC, and without it.

    python -m benchmarks.grpc_ways

The model is `mlp`, so that all there is to measure is the way. One client process, closed loop, over one channel. Wall
clock figures share the cores with whatever else runs; the CPU time of each process per call hardly does.
Writes benchmarks/results/grpc_<hardware>_<yyyymm>.{json,md}. Run it on a machine that does nothing else.
"""

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import yaml

from . import cache, grpc_client, grpc_codec, grpc_table, machine, ports, processes
from .grpc_table import Round
from .peers.peer import Command, Launch
from .peers.pitstop import PEER
from .results import file_stem
from .server import Server, running
from .workloads import WORKLOADS

_MLP = WORKLOADS["mlp"]
_CALLBACK = "RAY_SERVE_HTTP_PROXY_CALLBACK_IMPORT_PATH"
_METADATA = (("application", "mlp"),)
_NAMED = {"front": "ray::ServeReplica:root", "replica": "ray::ServeReplica:mlp", "haproxy": "haproxy -"}


@dataclass(frozen=True, slots=True)
class Way:
    """How a call gets to the model: to which port, and through which processes."""

    name: str
    port: int
    metadata: grpc_client.Metadata
    pids: dict[str, int]


def main() -> None:
    wish = _arguments()
    processes.unwind_on_sigterm()
    began = datetime.now(UTC)
    load = os.getloadavg()
    rounds = [*_short(wish), *_long(wish)]
    hardware = machine.hardware()
    record = {
        "command": f"python -m benchmarks.grpc_ways --rounds {wish.rounds} --seconds {wish.seconds:g}",
        "date": began.isoformat(timespec="seconds"),
        "commit": machine.commit(),
        "hardware": dict(hardware),
        "versions": {**machine.versions(), **grpc_client.versions()},
        "load_average": list(load),
        "seconds": wish.seconds,
        "codec": grpc_codec.measure(),
        "rounds": [asdict(each) for each in rounds],
    }
    stem = wish.out / file_stem("grpc", hardware, record["date"])
    wish.out.mkdir(parents=True, exist_ok=True)
    Path(f"{stem}.json").write_text(json.dumps(record, indent=1) + "\n")
    text = grpc_table.render(record, rounds)
    Path(f"{stem}.md").write_text(text)
    print(text)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3, help="how often each way is measured, in turn")
    parser.add_argument("--seconds", type=float, default=4.0, help="how long each time")
    parser.add_argument(
        "--out", type=Path, default=cache.PROJECT / "benchmarks" / "results", help="folder of the files"
    )
    return parser.parse_args()


def _short(wish: argparse.Namespace) -> Iterator[Round]:
    with _serving(short=True) as (server, front, own), _relay(own) as relay:
        found = _pids(server)
        ways = [
            Way("through the front", front, None, found),
            Way("one hop, `application` in the metadata", own, _METADATA, found),
            Way("a front that goes on by gRPC", relay[0], None, {**found, "front": relay[1]}),
        ]
        yield from _measured(ways, wish)


def _long(wish: argparse.Namespace) -> Iterator[Round]:
    with _serving(short=False) as (server, front, own):
        found = _pids(server)
        ways = [
            Way("through the front, without the short path", front, None, found),
            Way("one hop, without the short path", own, _METADATA, found),
        ]
        yield from _measured(ways, wish)


def _measured(ways: Sequence[Way], wish: argparse.Namespace) -> Iterator[Round]:
    for way in ways:
        grpc_client.run(way.port, way.metadata, 16, 1.0)
    for _ in range(wish.rounds):
        for calls in _MLP.connections:
            for way in ways:
                before = _cpu_s(way.pids)
                found = grpc_client.run(way.port, way.metadata, calls, wish.seconds)
                spent = {name: _cpu_s(way.pids)[name] - before[name] for name in before}
                cpu_us = {name: 1e6 * each / found.count for name, each in spent.items()}
                cpu_us["client"] = 1e6 * found.cpu_s / found.count
                yield Round(way.name, calls, found.rate_rps, found.p50_ms, found.p99_ms, cpu_us)
                print(f"{way.name}, {calls} at once: {found.rate_rps:.0f}/s", file=sys.stderr, flush=True)


@contextmanager
def _serving(short: bool) -> Iterator[tuple[Server, int, int]]:
    """Serve the mlp as shipped, or without the short path; yield the front's port and Serve's own beside the server."""
    ports_of: list[int] = []

    def command(launch: Launch) -> Command:
        found = PEER.command(launch)
        config = launch.folder / "config.yaml"
        raw = yaml.safe_load(config.read_text())
        for owner in [raw["controller_options"], *raw["applications"]]:
            if not short:
                owner["runtime_env"]["env_vars"].pop(_CALLBACK)
        config.write_text(yaml.safe_dump(raw, sort_keys=False))
        [root] = [app for app in raw["applications"] if app["name"] == "root"]
        ports_of[:] = [root["args"]["grpc_port"], raw["grpc_options"]["port"]]
        return found

    with running(replace(PEER, command=command), _MLP) as server:
        front, own = ports_of
        yield server, front, own


@contextmanager
def _relay(target: int) -> Iterator[tuple[int, int]]:
    """Run the front that was not built; yield its port and its process."""
    port = ports.free_port()
    process = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.grpc_relay", str(port), str(target)], cwd=cache.PROJECT
    )
    try:
        yield port, process.pid
    finally:
        process.terminate()
        process.wait(timeout=10)


def _pids(server: Server) -> dict[str, int]:
    running_now = processes.of(server.root, server.mark)
    found = {name: processes.named(running_now, text) for name, text in _NAMED.items()}
    return {name: pid for name, pid in found.items() if pid is not None}


def _cpu_s(pids: dict[str, int]) -> dict[str, float]:
    found = {}
    for name, pid in pids.items():
        fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
        found[name] = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    return found


if __name__ == "__main__":
    main()
