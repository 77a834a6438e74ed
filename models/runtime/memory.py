"""Running out of memory: how torch and numpy say so, and what to let go before a smaller batch is tried."""

import traceback

from ..user_code import text_of

# TorchScript and the compiler wrap torch's own error in a plain RuntimeError and leave only its text.
_TEXTS = (
    "out of memory",
    "DefaultCPUAllocator: can't allocate memory",
    "DefaultCPUAllocator: not enough memory",
    "CUBLAS_STATUS_ALLOC_FAILED",
    "CUDNN_STATUS_ALLOC_FAILED",
)


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether a smaller batch might have passed where this error was raised."""
    import torch

    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    return isinstance(error, RuntimeError) and any(text in text_of(error) for text in _TEXTS)


def release(error: BaseException) -> None:
    """Let go of the tensors in the frames that the error passed through, and of what the allocator keeps in reserve."""
    import torch

    traceback.clear_frames(error.__traceback__)
    if torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
        torch.cuda.empty_cache()
