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
