"""Which machine, versions and commit a measurement was made with: without them it is worth nothing to anybody else."""

import os
import platform
import re
import subprocess
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

_PROJECT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True, slots=True)
class Hardware:
    """A machine. `gpu` is None where torch sees none."""

    cpu: str
    cores: int
    memory_gib: float
    gpu: str | None
    gpu_memory_gib: float | None
    system: str

    @property
    def slug(self) -> str:
        """A short name for file names: the GPU's, or cpu and the number of cores."""
        if self.gpu is None:
            return f"cpu{self.cores}"
        return re.sub(r"[^a-z0-9]+", "-", self.gpu.lower().removeprefix("nvidia ")).strip("-")

    def title(self) -> str:
        return self.gpu or f"{self.cores} cores of {self.cpu}"

    def as_json(self) -> dict[str, Any]:
        return {**asdict(self), "slug": self.slug}


def hardware() -> Hardware:
    import torch

    gpu = torch.cuda.get_device_properties(0) if torch.cuda.is_available() else None
    return Hardware(
        cpu=cpu_name(),
        cores=cores(),
        memory_gib=round(_memory_bytes() / 2**30, 1),
        gpu=gpu.name if gpu else None,
        gpu_memory_gib=round(gpu.total_memory / 2**30, 1) if gpu else None,
        system=f"{platform.system()} {platform.machine()}",
    )


def cores() -> int:
    """Return the physical cores that this process may use; hyperthreads share one and count once."""
    try:
        usable = os.sched_getaffinity(0)
    except AttributeError:  # macOS has no such call.
        return os.cpu_count() or 1
    siblings = {_siblings(cpu) for cpu in usable}
    return max(1, len(siblings))


def versions() -> dict[str, str]:
    import numpy
    import torch

    found = {"python": platform.python_version(), "torch": torch.__version__, "numpy": numpy.__version__}
    if torch.version.cuda:
        cudnn = torch.backends.cudnn.version()  # type: ignore[no-untyped-call]
        found |= {"cuda": torch.version.cuda, "cudnn": str(cudnn)}
    return found


def commit() -> str:
    """Return the project's commit, marked where the tree differs from it; `unknown` outside of git."""
    try:
        found = _git("rev-parse", "--short=12", "HEAD")
        return f"{found}+changes" if _git("status", "--porcelain", "--untracked-files=no") else found
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def _git(*arguments: str) -> str:
    done = subprocess.run(["git", *arguments], cwd=_PROJECT, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def _siblings(cpu: int) -> str:
    path = Path(f"/sys/devices/system/cpu/cpu{cpu}/topology/thread_siblings_list")
    return path.read_text(encoding="utf-8").strip() if path.is_file() else str(cpu)


def cpu_name() -> str:
    """Return the processor as the system names it."""
    info = Path("/proc/cpuinfo")
    found = re.search(r"^model name\s*:\s*(.+)$", info.read_text(encoding="utf-8"), re.M) if info.is_file() else None
    return re.sub(r"\((R|TM)\)", "", found[1]).strip() if found else platform.processor() or platform.machine()


def _memory_bytes() -> int:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
