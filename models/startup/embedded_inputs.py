"""Which inputs go straight into an embedding: an id beyond its rows is an error, and on a GPU one that may end the
process, and with it the requests of others.

An input that is changed before, as by `ids % 1000` or a clamp, is none of them: its own numbers may be larger.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import nn

from ..signature import Tensor

_LAYERS = (nn.Embedding, nn.EmbeddingBag)


class EmbeddedInputs:
    """While it is entered, `rows` notes how many rows the embedding has that an input reaches as it came.

    Args:
        module: the network, which takes its inputs by position.
        inputs: in that order.
    """

    def __init__(self, module: nn.Module, inputs: Sequence[Tensor]) -> None:
        self.rows: dict[str, int] = {}
        self._names = [each.name if each.numpy.kind in "iu" else None for each in inputs]
        layers = [each for each in module.modules() if isinstance(each, _LAYERS)] if any(self._names) else []
        self._watched = [(module, self._enter), *((each, self._note) for each in layers)] if layers else []
        self._given: dict[str, tuple[torch.Tensor, torch.Tensor]] = {}
        self._hooks: list[Any] = []

    def __enter__(self) -> "EmbeddedInputs":
        self._hooks = [each.register_forward_pre_hook(hook, with_kwargs=True) for each, hook in self._watched]
        return self

    def __exit__(self, *_: object) -> None:
        for each in self._hooks:
            each.remove()
        self._given.clear()

    def _enter(self, _: nn.Module, args: tuple[Any, ...], __: dict[str, Any]) -> None:
        given = zip(self._names, args, strict=False)
        self._given = {name: (each, each.clone()) for name, each in given if name and isinstance(each, torch.Tensor)}

    def _note(self, layer: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        ids = args[0] if args else kwargs.get("input")
        if torch.compiler.is_compiling() or not isinstance(ids, torch.Tensor):
            return
        for name, (given, as_it_came) in self._given.items():
            if is_itself(ids, given) and torch.equal(ids, as_it_came):
                rows = int(layer.num_embeddings)  # type: ignore[arg-type]
                self.rows[name] = min(rows, self.rows.get(name, rows))


def is_itself(tensor: torch.Tensor, given: torch.Tensor) -> bool:
    """Whether a tensor is another one, or a view of it with its shape: equal values may be a chance, or a clamp's.

    A change in place shows where torch counts such changes, which it does not in inference mode on a GPU.
    """
    same = tensor.data_ptr() == given.data_ptr() and tensor.dtype == given.dtype and given.numel() > 0
    if not same or tensor.shape != given.shape or tensor.stride() != given.stride():
        return False
    return given.is_inference() or given._version == 0


def unbounded(inputs: Sequence[Tensor], embedded: Mapping[str, int]) -> Iterator[str]:
    """Yield a warning for each whole-number input that may be greater than the last row of its embedding."""
    for each in inputs:
        rows = embedded.get(each.name)
        if rows is None or isinstance(each.high, str) or (each.high is not None and each.high < rows):
            continue
        has = "no high" if each.high is None else f"high: {int(each.high)}"
        yield (
            f"input {each.name!r} goes into an embedding of {rows} rows and has {has}: an id of {rows} or more is a "
            "500 on a CPU, and on a GPU it can end the replica\n"
            f"help: write high: {rows - 1} into its line of inputs; such a request is then refused with a 400"
        )
