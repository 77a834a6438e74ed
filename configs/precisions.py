"""The precisions that a config may name, and where each can be computed. No torch here.

To add one, list it here, with its dtype in models/startup/prepare.py and its tolerance in models/parity.py.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from .schema import SourceConfig

PrecisionName = Literal["auto", "fp64", "fp32", "tf32", "bf16", "fp16", "int8_dynamic", "int8_weights"]
AUTO, FP32 = "auto", "fp32"
_ALL = ("factory", "torchscript", "exported_program", "pretrained")


@dataclass(frozen=True, slots=True)
class Precision:
    """One arithmetic.

    `devices` are those on which it may be faster than fp32. `sources` are the kinds of source that can be brought into
    it: an export has its dtypes written in, and only a network of Python has layers to replace. `quantizes`: it
    replaces the linear layers' weights by int8, with torchao.
    """

    name: str
    devices: tuple[str, ...] = ("cuda", "cpu")
    sources: tuple[str, ...] = _ALL
    quantizes: bool = False

    def takes(self, source: "SourceConfig") -> bool:
        """Whether this kind of source can be brought into it."""
        return any(getattr(source, kind) is not None for kind in self.sources)


_CAST, _LAYERS = ("factory", "torchscript", "pretrained"), ("factory", "pretrained")
# Those that win most often come first, so that a short search tries them. fp64 is only for what is declared so.
PRECISIONS: dict[str, Precision] = {
    each.name: each
    for each in (
        Precision("fp16", ("cuda",), _CAST),
        Precision("bf16", ("cuda", "cpu"), _CAST),
        Precision("tf32", ("cuda",)),
        Precision("int8_dynamic", ("cuda", "cpu"), _LAYERS, quantizes=True),
        Precision("int8_weights", ("cuda", "cpu"), _LAYERS, quantizes=True),
        Precision(FP32),
        Precision("fp64", (), _CAST),
    )
}


def tried_on(device: str, quantized: bool = False) -> list[Precision]:
    """Return the precisions to try on a device, the most promising first; int8 only if `quantized`."""
    return [each for each in PRECISIONS.values() if device in each.devices and quantized >= each.quantizes]


def first_of(precision: str) -> str:
    """Return a precision that can be computed in: fp32 for auto, the first of all that it may become."""
    return FP32 if precision == AUTO else precision


def quantizes(precision: str) -> bool:
    """Whether a precision of a config replaces linear layers by int8."""
    return precision != AUTO and PRECISIONS[precision].quantizes
