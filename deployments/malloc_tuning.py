"""Keeps the memory that a forward frees for the next forward, on a CPU.

By default glibc gives freed memory back to the kernel once some tens of MiB lie at the end of a heap, and takes large
arrays from the kernel each time. Activations are just that: every forward gets its memory anew, and the kernel clears
it page by page. https://man7.org/linux/man-pages/man3/mallopt.3.html
"""

import ctypes
from functools import cache

_M_TRIM_THRESHOLD, _M_TOP_PAD, _M_MMAP_THRESHOLD = -1, -2, -3
_NEVER = 2**31 - 1
# As large as a thread's heap: one that is empty is kept only where it is no larger than this.
_HEAP = 2**26
# Older versions of glibc refuse more than the second.
_LARGEST_ARRAYS = (2**30, 2**25)


def keep_freed() -> bool:
    """Keep what is freed from now on; return whether this C library can. Another allocator, where loaded, decides."""
    library = _library()
    if library is None:
        return False
    larger = any(library.mallopt(_M_MMAP_THRESHOLD, size) for size in _LARGEST_ARRAYS)
    kept = [library.mallopt(*option) for option in ((_M_TRIM_THRESHOLD, _NEVER), (_M_TOP_PAD, _HEAP))]
    return larger and all(kept)


def give_back() -> None:
    """Return to the kernel what is free now: a start runs larger batches than will be served."""
    library = _library()
    if library is not None:
        library.malloc_trim(0)


@cache
def _library() -> ctypes.CDLL | None:
    library = ctypes.CDLL(None)
    return library if hasattr(library, "mallopt") and hasattr(library, "malloc_trim") else None
