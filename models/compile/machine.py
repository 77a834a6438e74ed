"""What a compiled model depends on of the machine, as plain data, and the processor's name."""

import os
import platform
import re
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

_CPUINFO = Path("/proc/cpuinfo")
# Flags that name instructions, which `-march=native` and torch choose by. The others tell of the kernel, of mitigations
# and of the hypervisor, which change without a change of what can run.
_X86 = re.compile(
    r"(mmx|sse|ssse|pni$|avx|fma|f16c|bmi|amx|aes|vaes|pclmul|vpclmul|sha_|sha512|gfni|popcnt|abm|lzcnt|movbe|movdir|adx"
    r"|rdrand|rdseed|xsave(opt|c|s)?$|clwb|clflushopt|cx16|lahf|3dnow|tbm|xop|prefetchw|serialize|sm3|sm4)"
)
_ARM = re.compile(
    r"(fp|asimd|aes|pmull|sha|crc32|atomics|sve|sme|bf16|i8mm|f32mm|f64mm|lrcpc|fcma|jscvt|fhm|dcpop|usca)"
)


def machine(device: "torch.device", portable: bool = False) -> dict[str, object]:
    """Return what an artefact for this device depends on.

    `portable`: it is a graph that torch itself runs (TorchScript), and no machine code: any processor or GPU of the
    kind will do.
    """
    import torch

    found: dict[str, object] = {"torch": torch.__version__, "device": device.type}
    if portable:
        return found
    found |= {"architecture": platform.machine(), "system": platform.system(), "libc": _libc()}
    # Code for a GPU has a host's part, which is compiled for its processor.
    found |= {"isa": isa(), "capability": torch.backends.cpu.get_cpu_capability()}
    if device.type == "cpu":
        found |= {"threads": torch.get_num_threads()}
    if device.type == "cuda":
        major, minor = torch.cuda.get_device_capability(device)
        found |= {"gpu": torch.cuda.get_device_name(device), "compute": f"{major}.{minor}"}
        found |= {"cuda": torch.version.cuda or f"hip {torch.version.hip}"}
    return found


def has_bf16() -> bool:
    """Whether the processor computes in bf16; True where the system does not list what it has."""
    known = isa()
    return known == [cpu_name()] or not {"amx_bf16", "avx512_bf16", "bf16"}.isdisjoint(known)


@cache
def isa() -> list[str]:
    """Return the processor's instruction sets, sorted; its name where the system does not list them."""
    flags = (_line("flags") or "").split()
    features = (_line("Features") or "").split()
    known = [each for each in flags if _X86.match(each)] + [each for each in features if _ARM.match(each)]
    return sorted(set(known)) or [cpu_name()]


def cpu_name() -> str:
    """Return the processor as the system names it."""
    name = _line("model name")
    return re.sub(r"\((R|TM)\)", "", name).strip() if name else platform.processor() or platform.machine()


def _line(name: str) -> str | None:
    try:
        found = re.search(rf"^{name}\s*:\s*(.+)$", _CPUINFO.read_text(encoding="utf-8"), re.M)
    except OSError:
        return None
    return found[1] if found else None


def _libc() -> str:
    """Return the C library: what is linked with a newer one does not load with an older one."""
    try:
        return os.confstr("CS_GNU_LIBC_VERSION") or ""
    except (AttributeError, ValueError, OSError):
        return ""
