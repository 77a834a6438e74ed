"""What a run measures on: the CPU, or a GPU, in a precision of one's choice.

Read from the environment, which every server of a comparison inherits.
"""

import os
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

VARIABLE = "BENCH_DEVICE"
_PRECISION = "BENCH_PRECISION"
# models.parity has the same. This is a copy, since this file is used without torch; a test compares them.
_TOLERANCES = {"fp32": 1e-3, "tf32": 1e-2, "fp16": 1e-2, "bf16": 6e-2}
PRECISIONS = tuple(_TOLERANCES)


@dataclass(frozen=True, slots=True)
class Device:
    """Where the model runs, and in which arithmetic."""

    kind: str = "cpu"
    precision: str = "fp32"

    @property
    def is_gpu(self) -> bool:
        return self.kind == "cuda"

    @property
    def tolerance(self) -> float:
        """Return how far an answer may be off eager fp32, as a share of the largest value."""
        return _TOLERANCES[self.precision]

    @property
    def workers(self) -> int:
        """Return how many model processes a peer gets: on a GPU two, so that one can parse while the other computes."""
        return 2 if self.is_gpu else 1

    @property
    def suffix(self) -> str:
        """Return what tells this device's model files from those of the CPU in fp32, which have none."""
        return "" if self == Device() else f"-{self.kind}-{self.precision}"

    @property
    def environment(self) -> Mapping[str, str]:
        return {VARIABLE: self.kind, _PRECISION: self.precision}


def chosen() -> Device:
    """Return the device that this process was told to measure on."""
    return Device(os.environ.get(VARIABLE, "cpu"), os.environ.get(_PRECISION, "fp32"))


def bf16_units() -> tuple[str, ...]:
    """Return what this CPU has for bf16, as /proc/cpuinfo names it; without either bf16 is slower than fp32."""
    info = Path("/proc/cpuinfo")
    flags = set(info.read_text(encoding="utf-8").split()) if info.is_file() else set()
    return tuple(each for each in ("amx_bf16", "avx512_bf16") if each in flags)


def gpu_name() -> str | None:
    """Return the first GPU's name, or None where nvidia-smi finds none."""
    query = ["nvidia-smi", "--query-gpu=name", "--format=csv,noheader"]
    try:
        found = subprocess.run(query, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return None
    return found.splitlines()[0] if found else None


@contextmanager
def utilisation(device: Device) -> Iterator[list[float]]:
    """Collect the GPU's utilisation as shares of 1, ten times a second; nothing on a CPU or without nvidia-smi."""
    samples: list[float] = []
    if not device.is_gpu:
        yield samples
        return
    query = ["nvidia-smi", "--query-gpu=utilization.gpu", "--format=csv,noheader,nounits", "-lms", "100"]
    try:
        sampler = subprocess.Popen(query, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    except OSError:
        yield samples
        return
    try:
        yield samples
    finally:
        sampler.terminate()
        text, _ = sampler.communicate()
        samples += [float(line) / 100 for line in text.split() if line.replace(".", "").isdigit()]
