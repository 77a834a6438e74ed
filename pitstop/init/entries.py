"""Where each input of a network first meets weights, and what the layer there needs.

A run is watched: what is made of an input counts as that input, until a layer with weights takes it. Errors of the run
do not matter, since the layer that fails is the one that says what it needs.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.overrides import TorchFunctionMode

from models.startup.embedded_inputs import is_itself


@dataclass(frozen=True, slots=True)
class Need:
    """What a layer takes.

    Args:
        axis: the axis of its features, which has `size` of them.
        rank: how many dimensions, the rows among them; None where it takes several.
        ids: of an embedding, how many there are; then it takes whole numbers of any shape.
        padding: of an embedding, the id that stands for nothing.
    """

    axis: int = -1
    size: int = 0
    rank: int | None = None
    ids: int | None = None
    padding: int | None = None


@dataclass(frozen=True, slots=True)
class Entry:
    """A layer that took something made of these inputs, in the shape that came; `unchanged`: the input that it was."""

    inputs: frozenset[str]
    shape: tuple[int, ...]
    need: Need
    unchanged: str | None = None


class Entries(TorchFunctionMode):
    """Records the layers that a run reaches, in order. `scaled` are inputs that are divided by 255, as pixels are."""

    def __init__(self, inputs: Mapping[str, torch.Tensor]) -> None:
        super().__init__()
        self.found: list[Entry] = []
        self.scaled: set[str] = set()
        self._inputs = inputs
        self._of = {id(value): frozenset([name]) for name, value in inputs.items()}
        # An id is given again once its object is gone.
        self._kept: list[Any] = list(inputs.values())

    def __torch_function__(
        self, function: Callable[..., Any], types: Any, args: Sequence[Any] = (), kwargs: Any = None
    ) -> Any:
        kwargs, name = kwargs or {}, getattr(function, "__name__", "")
        origin = self._origin([*args, *kwargs.values()])
        if args and isinstance(args[0], torch.Tensor) and id(args[0]) in self._of:
            self._note(name, args, kwargs)
        result = function(*args, **kwargs)
        if origin:
            for each in _tensors(result):
                self._of[id(each)] = origin
                self._kept.append(each)
        return result

    def recurrent(self, module: nn.Module, args: tuple[Any, ...]) -> None:
        """Record a recurrent layer, which refuses a wrong size before any function of torch sees it."""
        if args and isinstance(args[0], torch.Tensor) and id(args[0]) in self._of:
            rank = 3 if isinstance(module, nn.RNNBase) else 2
            self._add(args[0], Need(-1, int(module.input_size), rank))  # type: ignore[arg-type]

    def _note(self, name: str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> None:
        if name in ("div", "true_divide", "__truediv__") and len(args) > 1 and args[1] in (255, 255.0):
            self.scaled |= self._of[id(args[0])]
        need = _NEEDS[name](args, kwargs) if name in _NEEDS else None
        if need is not None:
            self._add(args[0], need)

    def _add(self, value: torch.Tensor, need: Need) -> None:
        unchanged = next((name for name, each in self._inputs.items() if is_itself(value, each)), None)
        self.found.append(Entry(self._of[id(value)], tuple(value.shape), need, unchanged))

    def _origin(self, values: Sequence[Any]) -> frozenset[str]:
        return frozenset().union(*(self._of.get(id(each), frozenset()) for each in _tensors(values)))


def watched(
    module: nn.Module, inputs: Mapping[str, torch.Tensor], run: Callable[[], Any]
) -> tuple[Entries, Exception | None]:
    """Run a network on these inputs; return what it reached, and what it raised."""
    entries = Entries(inputs)
    recurrent = [each for each in module.modules() if isinstance(each, nn.RNNBase | nn.RNNCellBase)]
    hooks = [each.register_forward_pre_hook(entries.recurrent) for each in recurrent]
    try:
        with entries:
            run()
    except Exception as error:  # The user's own code; the entries say how far it came.
        return entries, error
    finally:
        for each in hooks:
            each.remove()
    return entries, None


def first_layer(module: nn.Module) -> Need | None:
    """Return what the first layer with weights needs, of a network that cannot be watched, as TorchScript."""
    for each in module.modules():
        kind, weight = getattr(each, "original_name", type(each).__name__), getattr(each, "weight", None)
        if kind in ("LSTM", "GRU", "RNN"):
            weight = getattr(each, "weight_ih_l0", None)
            return None if weight is None else Need(-1, weight.shape[1], 3)
        if isinstance(weight, torch.Tensor) and kind in _LAYERS:
            groups = getattr(each, "groups", 1)
            return _NEEDS[_LAYERS[kind]]((None, weight), {"groups": groups if isinstance(groups, int) else 1})
    return None


def _tensors(value: Any) -> Iterator[torch.Tensor]:
    if isinstance(value, torch.Tensor):
        yield value
    elif isinstance(value, Mapping):
        for each in value.values():
            yield from _tensors(each)
    elif isinstance(value, list | tuple) and not isinstance(value, torch.Size):
        for each in value:
            yield from _tensors(each)


def _given(args: Sequence[Any], kwargs: Mapping[str, Any], place: int, name: str) -> Any:
    return args[place] if len(args) > place else kwargs.get(name)


def _linear(args: Sequence[Any], kwargs: Mapping[str, Any]) -> Need:
    return Need(-1, _given(args, kwargs, 1, "weight").shape[1])


def _convolution(dimensions: int) -> Callable[[Sequence[Any], Mapping[str, Any]], Need]:
    def need(args: Sequence[Any], kwargs: Mapping[str, Any]) -> Need:
        groups = _given(args, kwargs, 6, "groups") or 1
        return Need(1, _given(args, kwargs, 1, "weight").shape[1] * groups, dimensions + 2)

    return need


def _embedding(padding_at: int, rank: int | None = None) -> Callable[[Sequence[Any], Mapping[str, Any]], Need]:
    """Return what an embedding, or a bag of them, needs; `padding_at` is the place of its padding_idx."""

    def need(args: Sequence[Any], kwargs: Mapping[str, Any]) -> Need:
        padding = _given(args, kwargs, padding_at, "padding_idx")
        rows = _given(args, kwargs, 1, "weight").shape[0]
        return Need(rank=rank, ids=rows, padding=padding if isinstance(padding, int) else None)

    return need


def _attention(args: Sequence[Any], kwargs: Mapping[str, Any]) -> Need:
    return Need(-1, _given(args, kwargs, 3, "embed_dim_to_check"), 3)


def _layer_norm(args: Sequence[Any], kwargs: Mapping[str, Any]) -> Need:
    return Need(-1, _given(args, kwargs, 1, "normalized_shape")[-1])


def _batch_norm(args: Sequence[Any], kwargs: Mapping[str, Any]) -> Need | None:
    mean = _given(args, kwargs, 1, "running_mean")
    return None if mean is None else Need(1, mean.shape[0])


def _product(args: Sequence[Any], _: Mapping[str, Any]) -> Need | None:
    other = args[1] if len(args) > 1 else None
    return Need(-1, other.shape[-2]) if isinstance(other, nn.Parameter) and other.dim() > 1 else None


_NEEDS: dict[str, Callable[[Sequence[Any], Mapping[str, Any]], Need | None]] = {
    "linear": _linear,
    "conv1d": _convolution(1),
    "conv2d": _convolution(2),
    "conv3d": _convolution(3),
    "embedding": _embedding(2),
    "embedding_bag": _embedding(10, rank=2),
    "multi_head_attention_forward": _attention,
    "layer_norm": _layer_norm,
    "batch_norm": _batch_norm,
    **dict.fromkeys(("matmul", "__matmul__", "mm"), _product),
}
_LAYERS = {
    "Linear": "linear",
    "Conv1d": "conv1d",
    "Conv2d": "conv2d",
    "Conv3d": "conv3d",
    "Embedding": "embedding",
}
