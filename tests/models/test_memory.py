"""Which errors mean that memory ran out. Those of the CPU are the real ones."""

from collections.abc import Callable

import numpy as np
import pytest
import torch

from models.runtime.memory import is_out_of_memory, release
from tests.models.oom_networks import Insatiable

ROW = torch.zeros(1, 1)


def raised(act: Callable[[], object]) -> Exception:
    try:
        act()
    except Exception as error:
        return error
    raise AssertionError("nothing was raised")


@pytest.mark.parametrize(
    "act",
    [
        lambda: Insatiable()(ROW),
        lambda: torch.jit.script(Insatiable())(ROW),
        lambda: np.empty(10**15),
    ],
    ids=["torch", "torchscript", "numpy"],
)
def test_what_is_raised_when_memory_runs_out_is_recognised(act: Callable[[], object]) -> None:
    assert is_out_of_memory(raised(act))


@pytest.mark.parametrize(
    "error, expected",
    [
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"), True),
        (RuntimeError("The following operation failed in TorchScript: CUDA out of memory. Tried to allocate"), True),
        (RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling cublasCreate(handle)"), True),
        (RuntimeError("CUDA error: an illegal memory access was encountered"), False),
        (RuntimeError("mat1 and mat2 shapes cannot be multiplied"), False),
        (ValueError("out of memory"), False),
    ],
)
def test_errors_are_told_apart_by_class_and_text(error: Exception, expected: bool) -> None:
    assert is_out_of_memory(error) is expected


def test_what_a_failed_forward_held_is_let_go_before_the_next_try() -> None:
    import weakref

    seen: list[weakref.ref[torch.Tensor]] = []

    def forward() -> None:
        activations = torch.zeros(1000)
        seen.append(weakref.ref(activations))
        raise torch.OutOfMemoryError("CUDA out of memory")

    error = raised(forward)
    assert seen[0]() is not None
    release(error)
    assert seen[0]() is None
