"""All that a GPU machine is lent for, in one command: tests, servers beside each other, mistakes, costs.

    make bench-gpu                                                # on a machine with a GPU: about half an hour
    python -m benchmarks.gpu --only servers --device cpu --quick  # anywhere, to see that it runs

tests: those that hold on a GPU alone. servers: ResNet-50 in fp16, pitstop beside the peers (benchmarks.run).
mistakes: what the five mistakes cost on this GPU. compare: a GPU and a CPU replica of one model, at one latency target.

Each part writes its files as soon as it has them, and the parts after one that fails run all the same.
"""

import argparse
import os
import subprocess
import sys
from collections.abc import Sequence
from typing import Any

import yaml

from configs.document import application
from configs.prices import load_prices
from pitstop.measure.hardware import hardware

from . import cache, script
from .device import Device, gpu_name
from .peers.pitstop import changed
from .server import NotMeasuredError, running
from .workloads import WORKLOADS, on_gpu

PARTS = ("tests", "servers", "mistakes", "compare")
_PEERS = "pitstop,triton,mosec,litserve,bentoml,torchserve,ray_serve"
_MODEL = "resnet50"
# Two cores, of which one is left to what surrounds the replica.
_CPU_MACHINE = "c6in.xlarge"
_SLO_MS = 1000
_ROWS_ON_A_CORE = 8


def main() -> None:
    parser = script.parser("benchmarks.gpu", __doc__)
    parser.add_argument("--only", default=",".join(PARTS), help=f"some of {','.join(PARTS)}")
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda", help="cpu: only to see that it runs")
    parser.add_argument("--peers", default=_PEERS, help="the servers to compare; all by default")
    parser.add_argument("--quick", action="store_true", help="short loops")
    options = parser.parse_args()
    parts = options.only.split(",")
    if unknown := sorted(set(parts) - set(PARTS)):
        parser.error(f"{', '.join(unknown)}: there is {', '.join(PARTS)}")
    options.out.mkdir(parents=True, exist_ok=True)
    script.unwind_on_sigterm()
    for part in parts:
        script.say(part)
        if part == "compare":
            _compare(options)
        else:
            _run(_command(part, options))


def _command(part: str, options: argparse.Namespace) -> Sequence[str]:
    out = ("--out", str(options.out))
    where = ("--device", options.device, *(("--precision", "fp16") if options.device == "cuda" else ()))
    servers = ("--workloads", _MODEL, "--only", options.peers, *where, *(("--quick",) if options.quick else ()))
    words = {
        "tests": ("pytest", "-m", "gpu", "tests/gpu", "tests/pitstop/test_audit_models.py"),
        "servers": ("benchmarks.run", *servers, *out),
        # Without torch.compile, whose own compiling would cost more than all else here.
        "mistakes": ("benchmarks.five_mistakes", "--quick", *out),
    }[part]
    return [sys.executable, "-m", *words]


def _compare(options: argparse.Namespace) -> None:
    """Price one replica on the device and one on a core, as `pitstop compare` does for a user."""
    os.environ.update(Device(options.device, "fp16" if options.device == "cuda" else "fp32").environment)
    gpu = gpu_name()
    if (instance := _instance_of(gpu)) is None:
        print(f"compare: not measured: configs/prices.yaml has no machine with {gpu or 'no GPU'}", flush=True)
        return
    folder = options.out / f"compare_{hardware().slug}"
    prices = ("--gpu-instance", instance, "--cpu-instance", _CPU_MACHINE)
    asked = ("--slo-ms", str(_SLO_MS), "--seconds", "1" if options.quick else "3", "--report", str(folder))
    try:
        with running(changed(_beside_a_core), on_gpu(WORKLOADS[_MODEL])) as server:
            url = ("--url", f"http://127.0.0.1:{server.port}")
            _run([sys.executable, "-m", "pitstop", "compare", _MODEL, f"{_MODEL}-cpu", *asked, *prices, *url])
    except NotMeasuredError as error:
        print(f"compare: not measured: {error}", flush=True)


def _instance_of(gpu: str | None) -> str | None:
    """Return a machine with this GPU among those that have a price."""
    known = load_prices(cache.PROJECT / "configs" / "prices.yaml").prices
    return next((each.instance for each in known if gpu and each.accelerator and each.accelerator in gpu), None)


def _beside_a_core(raw: dict[str, Any]) -> None:
    """Add the CPU replica that the shipped config has beside the GPU's."""
    whole = yaml.safe_load((cache.PROJECT / "configs" / f"{_MODEL}.yaml").read_text())
    twin = application(whole, f"{_MODEL}-cpu")
    # A core is fastest at a few rows, and its start would run all of many rows while the GPU waits.
    twin["args"] = {**twin["args"], "max_batch_size": _ROWS_ON_A_CORE}
    raw["applications"].append({**twin, "runtime_env": application(raw, _MODEL)["runtime_env"]})


def _run(command: Sequence[str]) -> None:
    """Run a part; whatever becomes of it, the others are still worth their time."""
    print(" ".join(command[1:]), flush=True)
    process = subprocess.Popen(command, cwd=cache.PROJECT)
    try:
        status = process.wait()
    finally:
        # Cut short, it must take down what it has started: its servers have sessions of their own.
        process.terminate()
        process.wait()
    print(f"ended with {status}", flush=True)


if __name__ == "__main__":
    main()
