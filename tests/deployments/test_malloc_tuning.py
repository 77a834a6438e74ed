"""What the kernel sees of forwards whose activations come and go, in a process of its own."""

import subprocess
import sys

import pytest

from deployments import malloc_tuning

FORWARDS = """
import resource, sys, threading
from deployments import malloc_tuning

if "keep" in sys.argv:
    assert malloc_tuning.keep_freed()

def forwards(count):
    for _ in range(count):
        layers = [b"x" * size * 2**20 for size in (25, 24, 23, 22)]
        del layers

def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt

def device():
    forwards(3)
    before = faults()
    forwards(20)
    found.append(faults() - before)

def resident():
    return next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmRSS")) / 1024

found = []
thread = threading.Thread(target=device)
thread.start()
thread.join()
forwards(3)
kept = resident()
malloc_tuning.give_back()
print(*found, kept - resident())
"""

pytestmark = pytest.mark.skipif(malloc_tuning._library() is None, reason="this C library has no mallopt")


def ran(*arguments: str) -> tuple[int, float]:
    """Return the page faults of twenty forwards, and the MiB that were given back after them."""
    found = subprocess.run([sys.executable, "-c", FORWARDS, *arguments], check=True, capture_output=True, text=True)
    faults, mib = found.stdout.split()
    return int(faults), float(mib)


def test_forwards_take_no_page_anew_once_freed_memory_is_kept() -> None:
    as_it_comes, _ = ran()
    kept, _ = ran("keep")
    assert as_it_comes > 20 * 1000
    assert kept < 20 * 10


def test_what_was_kept_can_be_given_back() -> None:
    _, mib = ran("keep")
    assert mib > 30
