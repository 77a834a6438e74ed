import numpy as np
import pytest

from deployments.core.errors import BadRequest
from deployments.http.infer_json import parse
from models.signature import Signature, Tensor
from tests.deployments.fake_service import identity, signature

TWO = signature([Tensor("a", "INT32", (-1,)), Tensor("b", "INT32", (-1,))], [Tensor("y", "INT32", (-1,))])


@pytest.mark.parametrize(
    "datatype, row, body, shape",
    [
        ("FP32", (2,), np.ones(2, np.float32).tobytes(), (1, 2)),
        ("FP32", (-1, 2), np.ones(6, np.float32).tobytes(), (1, 3, 2)),
        ("UINT8", (), b"\x07", (1,)),
        ("BYTES", (), b"no length before me", (1,)),
        ("BYTES", (1,), b"", (1, 1)),
    ],
)
def test_a_raw_body_is_one_row(datatype: str, row: tuple[int, ...], body: bytes, shape: tuple[int, ...]) -> None:
    request = parse(body, 0, identity(datatype, *row).signature)
    assert request.inputs["INPUT0"].shape == shape
    assert request.rows == 1
    assert [asked.binary for asked in request.outputs] == [True]
    if datatype == "BYTES":
        assert request.inputs["INPUT0"].reshape(-1)[0] == body


@pytest.mark.parametrize(
    "declared, body, sentence",
    [
        (identity("FP32", 2).signature, b"1234567", "takes 8 bytes; got 7"),
        (identity("FP32", 2).signature, b"\0" * 16, "takes 8 bytes; got 16"),
        (identity("FP32", -1, 2).signature, b"\0" * 12, "takes a multiple of 8 bytes; got 12"),
        (identity("FP32", -1, 2).signature, b"", "takes a multiple of 8 bytes; got 0"),
        (identity("FP32", -1, -1).signature, b"\0" * 12, "leaves one size to be found"),
        (identity("BYTES", 2).signature, b"x", "one BYTES element"),
        (TWO, b"\0" * 8, "for models of one input; this one takes 2"),
    ],
)
def test_a_raw_body_that_does_not_fit_is_refused(declared: Signature, body: bytes, sentence: str) -> None:
    with pytest.raises(BadRequest, match=sentence):
        parse(body, 0, declared)
