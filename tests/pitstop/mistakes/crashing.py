"""Networks that end their process, or fail, in a precision that nobody asked for."""

import os
import signal

import torch
from torch import Tensor, nn


class Linear(nn.Module):
    """The base: 8 numbers in, 8 out."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(8, 8)

    def forward(self, x: Tensor) -> Tensor:
        return self.linear(x)  # type: ignore[no-any-return]


class CrashesInBf16(Linear):
    def forward(self, x: Tensor) -> Tensor:
        if self.linear.weight.dtype == torch.bfloat16:
            os.kill(os.getpid(), signal.SIGSEGV)
        return self.linear(x)  # type: ignore[no-any-return]


@torch.jit.ignore  # type: ignore[untyped-decorator]
def _aborts(x: Tensor) -> None:
    if x.shape[1] == 16:
        os.abort()


class CrashesAtASize(Linear):
    """Scripted, it ends the process at a size that is warmed, but not timed."""

    def __init__(self) -> None:
        super().__init__()
        # The same in each process, so that a start finds what an earlier one has noted.
        nn.init.ones_(self.linear.weight)
        nn.init.zeros_(self.linear.bias)

    def forward(self, x: Tensor) -> Tensor:
        if torch.jit.is_scripting():  # type: ignore[attr-defined]
            _aborts(x)
        return self.linear(x)  # type: ignore[no-any-return]


class EndsInEager(Linear):
    def forward(self, x: Tensor) -> Tensor:  # noqa: ARG002
        os.kill(os.getpid(), signal.SIGSEGV)
        raise AssertionError("unreachable")


class FailsInBf16(Linear):
    def forward(self, x: Tensor) -> Tensor:
        return self.linear(x.float())  # type: ignore[no-any-return]


class Exits(Linear):
    def forward(self, x: Tensor) -> Tensor:  # noqa: ARG002
        os._exit(3)


class LoopsOverRows(Linear):
    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([self.linear(x[row : row + 1]) for row in range(x.shape[0])])


class AnswersNan(Linear):
    def forward(self, x: Tensor) -> Tensor:
        return self.linear(x) * float("nan")  # type: ignore[no-any-return]
