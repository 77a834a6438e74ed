"""What is asked and what the right answer is, in each of the forms that a server takes.

The number of a request makes its rows, so nothing need be kept to judge an answer, and no two neighbours ask the same.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Literal, overload

import numpy as np
import orjson

from deployments.http_client.request import post
from pitstop.load.bodies import wire
from pitstop.load.target import Target
from pitstop.load.tensor import Tensor

from .model import expected

Form = Literal["json", "binary", "grpc", "plain"]
# A prime, so that its multiples meet every remainder, and small enough that float32 holds all answers exactly.
_SPREAD, _STEP = 100_003, 7_919
_ENDLESS = 1 << 40


class Questions(Sequence[bytes]):
    """Requests by number, written when they are sent. `right` judges an answer and counts what it saw.

    `form` "plain" is what people write for Ray Serve by hand: {"x": 3} for {"y": 7, "version": 1}.
    """

    def __init__(self, target: Target, form: Form, versions: Iterable[int] = (1,), rows: int = 1) -> None:
        if form == "plain" and rows != 1:
            raise ValueError("the plain form asks for one row")
        self.target = target
        self.form = form
        self.versions = frozenset(versions)
        self.rows = rows
        self.wrong: list[str] = []
        self.seen: Counter[int] = Counter()

    def __len__(self) -> int:
        return _ENDLESS

    @overload
    def __getitem__(self, number: int) -> bytes: ...
    @overload
    def __getitem__(self, number: slice) -> Sequence[bytes]: ...
    def __getitem__(self, number: int | slice) -> bytes | Sequence[bytes]:
        if isinstance(number, slice):
            raise TypeError("requests are written one by one")
        if self.form == "plain":
            return self._plain(number)
        tensor = Tensor("x", "FP32", np.array(self._asked(number), np.float32).reshape(-1, 1))
        return wire(self.target, [tensor], self.form)

    def right(self, number: int, body: bytes) -> bool:
        """Tell whether this answers request `number` as one of the versions would."""
        try:
            y, version = self._read(body)
        except Exception as error:  # Each form has its own ways to be unreadable.
            return self._note(number, f"not readable: {type(error).__name__} {body[:80]!r}")
        if len(set(version)) != 1 or version[0] not in self.versions:
            return self._note(number, f"versions {version}")
        wanted = [expected(int(version[0]), x) for x in self._asked(number)]
        if y != wanted:
            return self._note(number, f"version {version[0]:g} gives {y}, not {wanted}")
        self.seen[int(version[0])] += 1
        return True

    def _note(self, number: int, what: str) -> bool:
        self.wrong.append(f"request {number}: {what}"[:300])
        return False

    def _asked(self, number: int) -> list[float]:
        first = number * self.rows
        return [float((first + row) * _STEP % _SPREAD - _SPREAD // 2) for row in range(self.rows)]

    def _plain(self, number: int) -> bytes:
        body = orjson.dumps({"x": self._asked(number)[0]})
        return post("/line", self.target.host, [("content-type", "application/json")], body)

    def _read(self, body: bytes) -> tuple[list[float], list[float]]:
        """Return y and the versions, one of each a row."""
        if self.form == "grpc":
            # Late: the other forms do without protobuf.
            from deployments.stubs.open_inference_pb2 import ModelInferResponse

            y, version = ModelInferResponse.FromString(body).raw_output_contents
            return _numbers(y), _numbers(version)
        if self.form == "binary":
            # The head comes first, and both tensors are as long as the request's.
            size = 4 * self.rows
            return _numbers(body[-2 * size : -size]), _numbers(body[-size:])
        found = orjson.loads(body)
        if self.form == "plain":
            return [found["y"]], [found["version"]]
        y, version = (each["data"] for each in found["outputs"])
        return y, version


def _numbers(raw: bytes) -> list[float]:
    return [float(each) for each in np.frombuffer(raw, np.float32)]
