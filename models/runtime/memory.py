"""Out-of-memory errors of torch and numpy, and what to release before a smaller batch is tried."""

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
    """Return whether a smaller batch might succeed after this error."""
    import torch

    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    return isinstance(error, RuntimeError) and any(text in text_of(error) for text in _TEXTS)


def release(error: BaseException) -> None:
    """Release the tensors in the frames of the tracebacks of an error and its causes, and the allocator's reserve."""
    import torch

    cause: BaseException | None = error
    while cause is not None:
        traceback.clear_frames(cause.__traceback__)
        cause = cause.__cause__ or cause.__context__
    if torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
        torch.cuda.empty_cache()
