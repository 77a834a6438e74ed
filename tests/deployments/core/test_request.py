import numpy as np
import pytest

from deployments.core.errors import BadRequest
from deployments.core.request import Service
from deployments.protocol.requested_outputs import check
from models.signature import Array, Tensor
from tests.deployments.fake_service import identity, signature

SIGNATURE = signature(
    [Tensor("ids", "INT64", (-1, -1)), Tensor("image", "UINT8", (-1, 1, 8, 8))], [Tensor("y", "FP32", (-1, 2))]
)


def arrays(ids: tuple[int, ...] = (2, 5), image: tuple[int, ...] = (2, 1, 8, 8)) -> dict[str, Array]:
    return {"ids": np.zeros(ids, np.int64), "image": np.zeros(image, np.uint8)}


def test_the_fake_is_a_service() -> None:
    service: Service = identity("FP32")
    assert service.ready()


@pytest.mark.parametrize("rows", [0, 1, 7])
def test_arrays_that_fit_are_counted(rows: int) -> None:
    assert check(SIGNATURE, arrays((rows, 5), (rows, 1, 8, 8))) == rows


@pytest.mark.parametrize(
    "inputs, sentence",
    [
        ({}, "input 'ids' is missing: this model takes 'ids' INT64 [-1, -1], 'image' UINT8 [-1, 1, 8, 8]"),
        ({"ids": np.zeros((2, 5), np.int64)}, "input 'image' is missing"),
        ({**arrays(), "more": np.zeros(2)}, "there is no input 'more'"),
        ({**arrays(), "ids": np.zeros((2, 5), np.int32)}, "input 'ids' is INT64; the data sent is int32"),
        (arrays(image=(2, 1, 8, 9)), "input 'image' has shape [-1, 1, 8, 8], -1 being open; got [2, 1, 8, 9]"),
        (arrays(image=(2, 64)), "got [2, 64]"),
        (arrays(ids=(2, 0)), "shape [2, 0] has rows that are empty"),
        (arrays(ids=(3, 5)), "got {'ids': 3, 'image': 2}"),
    ],
)
def test_arrays_that_do_not_fit_are_refused_in_words(inputs: dict[str, Array], sentence: str) -> None:
    with pytest.raises(BadRequest) as caught:
        check(SIGNATURE, inputs)
    assert sentence in caught.value.message
