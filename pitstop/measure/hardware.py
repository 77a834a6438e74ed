"""Which machine, versions and commit a measurement was made with: without them it is worth nothing to anybody else."""

import os
import platform
import re
import subprocess
import sys
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from models.compile.machine import cpu_name, isa

from ..project import PROJECT

# What decides how fast a processor multiplies matrices, as /proc/cpuinfo names it.
_VECTOR = ("avx2", "avx512f", "avx512_vnni", "avx512_bf16", "amx_int8", "amx_bf16", "asimd", "sve", "i8mm", "bf16")
_NAMED = ("torch", "ray", "numpy", "orjson", "tokenizers", "pitstop")


@dataclass(frozen=True, slots=True)
class Hardware:
    """A machine. `gpu` is None where none was measured on; `vector` are the CPU's instructions for matrices."""

    cpu: str
    vector: tuple[str, ...]
    cores: int
    memory_gib: float
    gpu: str | None
    gpu_memory_gib: float | None
    system: str
    kernel: str

    @property
    def slug(self) -> str:
        """A name for files: the GPU's, or the processor's with the number of cores."""
        return re.sub(r"[^a-z0-9]+", "-", (self.gpu or f"{self.cpu} {self.cores} cores").lower()).strip("-")

    def title(self) -> str:
        return self.gpu or f"{self.cores} cores of {self.cpu}"

    def as_json(self) -> dict[str, Any]:
        return {**asdict(self), "slug": self.slug}


def hardware(gpu: bool = True) -> Hardware:
    """Return this machine, with the GPU that torch sees; without `gpu` nobody looks for one."""
    found = _gpu() if gpu else None
    return Hardware(
        cpu=cpu_name(),
        vector=tuple(each for each in _VECTOR if each in isa()),
        cores=cores(),
        memory_gib=round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        gpu=found.name if found else None,
        gpu_memory_gib=round(found.total_memory / 2**30, 1) if found else None,
        system=f"{platform.system()} {platform.machine()}",
        kernel=platform.release(),
    )


def cores() -> int:
    """Return the physical cores that this process may use; hyperthreads share one and count once."""
    try:
        usable = os.sched_getaffinity(0)
    except AttributeError:  # macOS has no such call.
        return os.cpu_count() or 1
    siblings = {_siblings(cpu) for cpu in usable}
    return max(1, len(siblings))


def has_gpu() -> bool:
    import torch

    return torch.cuda.is_available()


def device_here(device: str) -> str:
    """Return the device that `auto` stands for on this machine, or the one that is named."""
    return ("cuda" if has_gpu() else "cpu") if device == "auto" else device


def versions() -> dict[str, str]:
    """Return the versions of Python, of what is installed, and of CUDA where torch was imported and has it."""
    found = {"python": platform.python_version()}
    for name in _NAMED:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    torch = sys.modules.get("torch")
    if torch is not None and torch.version.cuda:
        found |= {"cuda": torch.version.cuda, "cudnn": str(torch.backends.cudnn.version())}
    return found


def commit() -> str:
    """Return the project's commit, with `-dirty` where files differ from it; `unknown` outside of git."""
    command = ["git", "-C", str(PROJECT), "describe", "--always", "--dirty", "--abbrev=12", "--exclude=*"]
    try:
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def _gpu() -> Any:
    import torch

    return torch.cuda.get_device_properties(0) if has_gpu() else None


def _siblings(cpu: int) -> str:
    path = Path(f"/sys/devices/system/cpu/cpu{cpu}/topology/thread_siblings_list")
    return path.read_text(encoding="utf-8").strip() if path.is_file() else str(cpu)
