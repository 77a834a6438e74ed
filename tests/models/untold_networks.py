"""Networks of which neither the tracer nor an export tells that they depend on the data; all are right eagerly.

Each decides by whether a number is large, as an outlier guard does. Random numbers never are.
"""

import ctypes
import threading
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, nullcontext, suppress
from multiprocessing.pool import ThreadPool

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.dlpack import from_dlpack


def large(x: Tensor) -> Tensor:
    return (x.abs() > 6).any(1)


def where_large(x: Tensor) -> Tensor:
    return (x[0].abs() > 6).nonzero()


class Guard(nn.Module):
    """Doubles the answers where there is a large number."""

    def __init__(self, decide: Callable[[Tensor], object]) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.layer = nn.Linear(4, 2)
        self.decide = decide

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(x) * (2.0 if self.decide(x) else 1.0)  # type: ignore[no-any-return]


def silent(x: Tensor) -> bool:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return bool(large(x).any())


def in_a_thread(x: Tensor) -> bool:
    found: list[bool] = []
    thread = threading.Thread(target=lambda: found.append(bool(large(x).any())))
    thread.start()
    thread.join()
    return found[0]


def by_address(x: Tensor) -> bool:
    row = x.contiguous()
    return bool(max(map(abs, (ctypes.c_float * row.numel()).from_address(row.data_ptr()))) > 6)


def swallows(x: Tensor) -> bool:
    try:
        torch.linalg.cholesky(torch.where(large(x).any(), -1.0, 1.0).reshape(1, 1))
    except Exception:
        return True
    return False


def raises_some(x: Tensor) -> bool:
    try:
        torch.linalg.cholesky(torch.where(large(x).any(), -1.0, 1.0).reshape(1, 1))
    except RuntimeError as error:
        if "cholesky" in str(error):
            return True
        raise
    return False


_POOL = ThreadPoolExecutor(1)


def in_a_pool(x: Tensor) -> bool:
    return _POOL.submit(lambda: bool(large(x).any())).result()


def in_a_column(x: Tensor) -> bool:
    filled = torch.zeros(x.size(0), 4)
    filled[:, 0] = x.abs().amax(1)
    return not torch.equal(filled.clamp(max=6), filled)


def fails_for_zeros(x: Tensor) -> bool:
    kept = x[x.abs() > 6]
    torch.linalg.cholesky(torch.where(x.abs().sum() > 0, 1.0, -1.0).reshape(1, 1))
    return kept.shape.numel() > 0


@contextmanager
def quiet() -> Iterator[None]:
    try:  # noqa: SIM105
        yield
    except RuntimeError:
        pass


class Quiet:
    def __enter__(self) -> None: ...
    def __exit__(self, *_: object) -> bool:
        return True


def in_a_context(x: Tensor) -> bool:
    with quiet():
        torch.linalg.cholesky(torch.where(large(x).any(), -1.0, 1.0).reshape(1, 1))
        return False
    return True


def in_a_class(x: Tensor) -> bool:
    with Quiet():
        torch.linalg.cholesky(torch.where(large(x).any(), -1.0, 1.0).reshape(1, 1))
        return False
    return True


def in_a_variable(x: Tensor) -> bool:
    ignoring = suppress(RuntimeError)
    with ignoring:
        torch.linalg.cholesky(torch.where(large(x).any(), -1.0, 1.0).reshape(1, 1))
        return False
    return True


def in_finally(x: Tensor) -> bool:
    bad = True
    try:
        torch.linalg.cholesky(torch.where(large(x).any(), -1.0, 1.0).reshape(1, 1))
        bad = False
    finally:
        return bad  # noqa: B012


_OTHER_POOL = ThreadPool(1)


def in_another_pool(x: Tensor) -> bool:
    return bool(_OTHER_POOL.apply(lambda: bool(large(x).any())))


def differs(filled: Tensor) -> bool:
    return not torch.equal(filled.clamp(max=6), filled)


def into_out(x: Tensor) -> bool:
    filled = torch.zeros(x.size(0), 4)
    torch.amax(x.abs(), 1, out=filled[:, 0])
    return differs(filled)


def into_an_alias(x: Tensor) -> bool:
    filled = torch.zeros(x.size(0), 4)
    filled.detach()[:, 0] = x.abs().amax(1)
    return differs(filled)


@torch.inference_mode()
def in_inference(x: Tensor) -> bool:
    filled = torch.zeros(x.size(0), 4)
    filled[:, 0] = x.abs().amax(1)
    return differs(filled)


def by_keyword(x: Tensor) -> bool:
    weight = (x[0].abs() > 6).float()
    found = torch.histogram(torch.ones(4), 2, range=(0.0, 2.0), weight=weight)
    return not torch.equal(found.hist, torch.zeros(2))


def suppresses(x: Tensor) -> bool:
    with suppress(RuntimeError):
        torch.linalg.cholesky(torch.where(large(x).any(), -1.0, 1.0).reshape(1, 1))
        return False
    return True


UNTOLD: dict[str, Callable[[Tensor], object]] = {
    "equal": lambda x: not torch.equal(x.clamp(-6, 6), x),
    "allclose": lambda x: not torch.allclose(x.clamp(-6, 6), x),
    "is_nonzero": lambda x: torch.is_nonzero(large(x).any()),
    "numel of a shape": lambda x: where_large(x).shape.numel() > 0,
    "bytes": lambda x: where_large(x).nbytes > 0,
    "rank": lambda x: x[0][x[0].abs() > 6].squeeze().dim() == 0,
    "range": lambda x: sum(1 for _ in range(where_large(x).size(0))) > 0,
    "parts": lambda x: len(x[0][x[0].abs() > 6].unbind(0)) > 0,
    "text of a shape": lambda x: str(where_large(x).shape) != "torch.Size([0, 1])",
    "sparse": lambda x: torch.where(x.abs() > 6, x, 0).to_sparse()._nnz() > 0,
    "dlpack": lambda x: np.abs(np.from_dlpack(x.detach())).max() > 6,
    "storage": lambda x: np.abs(np.frombuffer(bytes(x.clone().untyped_storage()), np.float32)).max() > 6,
    "address": by_address,
    "text": lambda x: "9." in str(x),
    "silent": silent,
    "thread": in_a_thread,
    "except": swallows,
    "suppress": suppresses,
    "raises some": raises_some,
    "pool": in_a_pool,
    "column": in_a_column,
    "context": in_a_context,
    "class": in_a_class,
    "variable": in_a_variable,
    "finally": in_finally,
    "another pool": in_another_pool,
    "out": into_out,
    "alias": into_an_alias,
    "inference": in_inference,
    "keyword": by_keyword,
    "bytes of more than a thousand": lambda x: (x[0].abs() > 1000).nonzero().nbytes > 0,
    "to_dlpack": lambda x: np.abs(np.asarray(from_dlpack(torch.utils.dlpack.to_dlpack(x.clone())))).max() > 6,  # type: ignore[attr-defined]
    "fails for zeros": fails_for_zeros,
}


class Told(nn.Module):
    """What looks alike and is healthy: a trace of it is right for all inputs."""

    def __init__(self, way: str) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.layer = nn.Linear(4, 2)
        self.way = way
        self.lock = threading.Lock()

    def forward(self, x: Tensor) -> Tensor:
        found: Tensor = getattr(self, self.way)(x)
        return found

    def program_error(self, x: Tensor) -> Tensor:
        try:
            return self.layer(x)  # type: ignore[no-any-return]
        except TypeError:
            return self.layer(x.float())  # type: ignore[no-any-return]

    def raises_again(self, x: Tensor) -> Tensor:
        try:
            return self.layer(x)  # type: ignore[no-any-return]
        except RuntimeError as error:
            raise ValueError("not mine") from error

    def finally_(self, x: Tensor) -> Tensor:
        try:
            return self.layer(x)  # type: ignore[no-any-return]
        finally:
            self.done = True

    def in_contexts(self, x: Tensor) -> Tensor:
        with torch.no_grad(), warnings.catch_warnings(), self.lock, nullcontext():
            return self.layer(x)  # type: ignore[no-any-return]

    def out_of_memory(self, x: Tensor) -> Tensor:
        try:
            return self.layer(x)  # type: ignore[no-any-return]
        except torch.OutOfMemoryError:
            return torch.cat([self.layer(row) for row in x])

    def gathers(self, x: Tensor) -> Tensor:
        return self.layer(x[torch.arange(x.size(0)), :])  # type: ignore[no-any-return]

    def by_mask(self, x: Tensor) -> Tensor:
        made = torch.zeros_like(x)
        kept = x > 0
        made[kept] = x[kept] * 2
        return self.layer(made)  # type: ignore[no-any-return]

    def chosen_rows(self, x: Tensor) -> Tensor:
        found = torch.zeros(x.size(0), 2)
        kept = x[:, 0] > 0
        found[kept] = self.layer(x[kept]).unsqueeze(-1).squeeze(-1)
        return found

    def of_weights(self, x: Tensor) -> Tensor:
        return self.layer(x) * (1.0 if torch.equal(self.layer.bias, self.layer.bias) else 2.0)  # type: ignore[no-any-return]


HEALTHY = (
    "program_error",
    "in_contexts",
    "out_of_memory",
    "raises_again",
    "finally_",
    "gathers",
    "by_mask",
    "chosen_rows",
    "of_weights",
)
