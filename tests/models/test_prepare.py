from collections.abc import Iterator

import pytest
import torch

from models.startup.prepare import plain_arithmetic


def switches() -> tuple[bool, bool, bool]:
    cudnn = torch.backends.cudnn
    return cudnn.benchmark, cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32


def switch(benchmark: bool, convolutions: bool, products: bool) -> None:
    torch.backends.cudnn.benchmark = benchmark
    torch.backends.cudnn.allow_tf32 = convolutions
    torch.backends.cuda.matmul.allow_tf32 = products


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    before = switches()
    yield
    switch(*before)


def test_a_reference_is_computed_in_fp32_proper_and_the_configs_arithmetic_comes_back() -> None:
    switch(True, True, True)
    with plain_arithmetic():
        assert switches() == (False, False, False)
    assert switches() == (True, True, True)


def test_it_comes_back_after_an_error_too() -> None:
    switch(True, True, True)
    with pytest.raises(ValueError, match="in between"), plain_arithmetic():
        raise ValueError("in between")
    assert switches() == (True, True, True)
