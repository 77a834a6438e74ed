"""The peak of what a forward allocates: on a GPU by the allocator's own count, on the CPU by replaying its events.

Resident memory would not do on the CPU: allocators keep what they freed, so a second step would seem to need nothing.
"""

import os
from collections.abc import Callable, Iterable

import torch
from torch import nn

_MIB = 2**20


def peak_mib(call: Callable[[], object], device: torch.device) -> float:
    """Return the most that tensors made by one call hold at once, its inputs and weights not counted."""
    return _peak_on_gpu(call, device) if device.type == "cuda" else _peak_on_cpu(call)


def weights_mib(module: nn.Module) -> float:
    tensors = {id(each): each for each in [*module.parameters(), *module.buffers()]}
    return sum(each.numel() * each.element_size() for each in tensors.values()) / _MIB


def highest(changes: Iterable[int]) -> int:
    """Return the highest running sum of allocations (positive) and releases (negative)."""
    now = top = 0
    for change in changes:
        now += change
        top = max(top, now)
    return top


def _peak_on_gpu(call: Callable[[], object], device: torch.device) -> float:
    torch.cuda.synchronize(device)
    torch.cuda.reset_peak_memory_stats(device)
    before = torch.cuda.memory_allocated(device)
    call()
    torch.cuda.synchronize(device)
    return (torch.cuda.max_memory_allocated(device) - before) / _MIB


def _peak_on_cpu(call: Callable[[], object]) -> float:
    # The profiler reports each start and stop on stderr, in the middle of our table.
    os.environ.setdefault("KINETO_LOG_LEVEL", "99")
    with torch.autograd.profiler.profile(profile_memory=True) as profile:
        call()
    results = profile.kineto_results
    if results is None:
        return 0.0
    events = [event for event in results.events() if event.name() == "[memory]"]
    return highest(event.nbytes() for event in sorted(events, key=lambda event: event.start_ns())) / _MIB
