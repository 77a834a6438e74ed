"""Whether two models can be compared: they take the same inputs and give the same outputs, whatever their names."""

from collections.abc import Sequence
from typing import Any

from ..load.errors import LoadError
from ..load.target import Target
from .measured import Measured


def check_same(gpu: Target | Measured, cpu: Target | Measured) -> None:
    """Raise LoadError where inputs or outputs differ. A server, or an older file, may not say; then all is well."""
    for what, left, right in (("inputs", gpu.inputs, cpu.inputs), ("outputs", gpu.outputs, cpu.outputs)):
        if left and right and _described(left) != _described(right):
            raise LoadError(
                f"{gpu.model!r} and {cpu.model!r} are not the same model: the {what} of the first are "
                f"{', '.join(_described(left))}, of the second {', '.join(_described(right))}",
                "name the same model on a GPU and on CPUs",
            )


def _described(tensors: Sequence[dict[str, Any]]) -> list[str]:
    return [f"{each.get('name')} {each.get('datatype')} {list(each.get('shape', ()))}" for each in tensors]
