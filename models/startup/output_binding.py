"""Which output is where in what forward returns: where the config says `from`, else by name, else by order.

A network may return a tensor, and tuples, lists, dicts, dataclasses and named tuples of them, with None in between.
What the config does not list is left out; but where the order alone says what is what, all must be listed, or each must
have its `from`: a wrong place would be a wrong answer.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from numbers import Real
from typing import Any

import torch

from ..errors import ModelError
from ..runtime.output_paths import (
    DEEPEST,
    Path,
    Pick,
    Reading,
    Step,
    at,
    held,
    is_numbers,
    kind,
    leaves,
    names_in,
    shown,
    text,
)
from ..signature import Tensor
from ..user_code import call_at_start

BY_NAME = "by name"
BY_ORDER = "by order"
ONE_TENSOR = "as the one tensor that forward returns"


def reading_of(result: Any, outputs: Sequence[Tensor], rows: int) -> Reading:
    """Return how the outputs are read from what forward returned for so many rows.

    Raises:
        ModelError: it does not have them, or does not say which is which.
    """
    if is_list_of_rows(result, outputs, rows):
        counts = {each.name for tensor in outputs for each in tensor.named}
        inner = reading_of(result[0], [each for each in outputs if each.name not in counts], rows=-1)
        return replace(inner, plain=False, how=f"{inner.how}, of each row", by_row=tuple(outputs))
    placed = {tensor.name: _path(result, tensor) for tensor in outputs if tensor.path is not None}
    rest = [tensor for tensor in outputs if tensor.path is None]
    by_order = False
    if rest:
        named = _by_name(result, rest, alone=not placed)
        by_order = named is None
        if named is None and placed:
            raise ModelError(
                f"outputs: only {list(placed)} have `from`, and {[each.name for each in rest]} are no names in what "
                f"forward returned: {shown(result)}\nhelp: give each output its `from`"
            )
        placed |= _by_order(result, rest, rows) if named is None else named
    picks = tuple(_pick(result, tensor, placed[tensor.name], rows) for tensor in outputs)
    lengths = tuple(lengths_in(result, {pick.path for pick in picks if pick.by_row})) if by_order else ()
    return Reading(picks, lengths, is_plain(result, picks), _how(result, picks))


def is_list_of_rows(result: Any, outputs: Sequence[Tensor], rows: int) -> bool:
    """Whether forward returned a list with an entry for each row, each with as much as the data decides."""
    counts = {tensor.name for tensor in outputs} & {each.name for tensor in outputs for each in tensor.named}
    if not counts or not isinstance(result, list | tuple) or len(result) != rows:
        return False
    if isinstance(result, list) and all(held(each) is not None for each in result):
        return True
    ranks = [len(tensor.shape) - 1 for tensor in outputs if tensor.name not in counts]
    if len(ranks) == 1 and all(isinstance(each, torch.Tensor) and each.dim() == ranks[0] for each in result):
        return True
    return all(isinstance(each, Mapping) for each in result)


def _by_name(result: Any, outputs: Sequence[Tensor], alone: bool) -> dict[str, Path] | None:
    """Return the paths of the outputs where what came has their names; None where its order must tell."""
    names = names_in(result)
    if names is None:
        return None
    known = [tensor.name for tensor in outputs if tensor.name in names]
    spare = [tensor.name for tensor in outputs if tensor.name not in names]
    if not spare:
        attribute = not isinstance(result, Mapping)
        return {name: ((attribute, name),) for name in known}
    if not known and isinstance(result, tuple):
        return None
    tensors = [path for path, value in leaves(result) if isinstance(value, torch.Tensor) or is_numbers(value)]
    if alone and len(outputs) == len(tensors) == 1:
        return {spare[0]: tensors[0]}
    _refuse_without_count(spare, outputs, result)
    raise ModelError(
        f"outputs: the config names {[tensor.name for tensor in outputs]}, forward returned {shown(result)}: "
        f"{', '.join(spare)} {'is' if len(spare) == 1 else 'are'} not in it\n"
        f"help: name the outputs as the model does, or say where they are: `from: {_example(result)}`"
    )


def _refuse_without_count(missing: Sequence[str], outputs: Sequence[Tensor], result: Any) -> None:
    """Raise ModelError if what is missing is the count of other outputs."""
    for name in missing:
        if counting := [each.name for each in outputs if any(of.name == name for of in each.named)]:
            raise ModelError(
                f"outputs: {name} is a size of {', '.join(counting)} that no input has, and forward returned "
                f"{shown(result)}, without a count\nhelp: return how many entries of each row are real, and list it as "
                f"an output {{name: {name}, datatype: INT64, shape: [batch]}}; or return a list with a dict for each "
                "row; or, if the size is always the same, write the number"
            )


def _by_order(result: Any, outputs: Sequence[Tensor], rows: int) -> dict[str, Path]:
    entries = _entries(result, {len(tensor.shape) for tensor in outputs}, rows)
    if len(entries) != len(outputs):
        _refuse_without_count([outputs[-1].name], outputs, result)
        raise ModelError(
            f"outputs: the config names {[tensor.name for tensor in outputs]}, forward returned {shown(result)}\n"
            "help: list one output per tensor that forward returns, in its order, or say of each where it is: "
            f"`from: {_example(result)}`"
        )
    found = {tensor.name: path for tensor, path in zip(outputs, entries, strict=True)}
    inner = {path[-1][1] for path, _ in leaves(result) if path}
    for name, path in found.items():
        if name in inner and path[-1][1] != name:
            raise ModelError(
                f"outputs: by order {name} is {text(path)}, but forward returned {shown(result)}, with that name "
                "elsewhere\nhelp: say with `from` where each output is"
            )
    return found


def _entries(value: Any, ranks: set[int], rows: int, path: Path = ()) -> list[Path]:
    """Return the paths of what an order counts: all but None, and a list with an entry a row as one."""
    if value is None:
        return []
    inner = held(value) if len(path) < DEEPEST and not _is_by_row(value, ranks, rows) else None
    if inner is None:
        return [path]
    return [found for step, each in inner for found in _entries(each, ranks, rows, (*path, step))]


def _is_by_row(value: Any, ranks: set[int], rows: int) -> bool:
    """Whether a list can only be the answers of rows: its tensors are one dimension short of what is declared."""
    if not isinstance(value, list | tuple) or len(value) != rows:
        return False
    found = {each.dim() if isinstance(each, torch.Tensor) else -1 for each in value}
    return len(found) == 1 and found.isdisjoint({-1, *ranks}) and {each + 1 for each in found} <= ranks


def _path(result: Any, tensor: Tensor) -> Path:
    """Return the path that a config writes, as steps into what forward returned."""
    assert tensor.path is not None
    found, words, value = Path(), tensor.path.split("."), result
    while words:
        where, place = f"output {tensor.name!r}: from: {tensor.path}", f" at {text(found)}" if found else ""
        what, advice = f"{where}: reading {words[0]}{place}", "name what forward itself returns; a property is code too"
        taken, step = call_at_start(what, advice, _next, value, words)
        if step is None:
            raise ModelError(
                f"{where}: there is no {words[0]} in the {kind(value)}{place}\nhelp: forward returned {shown(result)}"
            )
        found, words = (*found, step), words[taken:]
        value = call_at_start(what, advice, at, value, (step,))
    return found


def _next(value: Any, words: Sequence[str]) -> tuple[int, Step | None]:
    """Return how many words the next step takes, and the step: a key may have points in it, and the longest counts."""
    for taken in range(len(words) if isinstance(value, Mapping) else 1, 0, -1):
        if (step := _step(value, ".".join(words[:taken]))) is not None:
            return taken, step
    return 0, None


def _step(value: Any, word: str) -> Step | None:
    number = int(word) if word.removeprefix("-").isdecimal() and word.isascii() else None
    if isinstance(value, torch.Tensor) or value is None:
        return None
    if isinstance(value, Mapping):
        return next(((False, key) for key in (word, number) if key is not None and key in value), None)
    if number is not None:
        return (False, number) if isinstance(value, list | tuple) and -len(value) <= number < len(value) else None
    return (True, word) if hasattr(value, word) else None


def _pick(result: Any, tensor: Tensor, path: Path, rows: int) -> Pick:
    value = at(result, path)
    if isinstance(value, torch.Tensor):
        return Pick(tensor.name, path)
    if (is_numbers(value) and len(value) == rows) or _is_by_row(value, {len(tensor.shape)}, rows):
        return Pick(tensor.name, path, by_row=True)
    place = f"output {tensor.name!r}: forward returns {{}}{f' at {text(path)}' if path else ''}, the config says "
    if isinstance(value, Real):
        raise ModelError(
            f"{place.format('a single number')}{list(tensor.shape)}\n"
            "help: return one value a row: the first dimension must count rows"
        )
    raise ModelError(
        f"{place.format(kind(value))}{list(tensor.shape)}\n"
        f"help: return a tensor there, or say with `from` where it is; forward returned {shown(result)}"
    )


def lengths_in(value: Any, by_row: set[Path], path: Path = ()) -> Iterator[tuple[Path, int, list[str] | None]]:
    """Yield the length of every sequence whose order counts."""
    if path in by_row or len(path) >= DEEPEST:
        return
    if isinstance(value, list | tuple):
        yield path, len(value), names_in(value)
    for step, each in held(value) or ():
        yield from lengths_in(each, by_row, (*path, step))


def is_plain(result: Any, picks: Sequence[Pick]) -> bool:
    """Whether models.runtime.runner.in_order reads this as it is, and a tracer can return it."""
    if any(pick.by_row for pick in picks):
        return False
    paths = [pick.path for pick in picks]
    if type(result) is dict:
        own = [((False, pick.name),) for pick in picks]
        return paths == own and all(isinstance(value, torch.Tensor) for value in result.values())
    if type(result) in (tuple, list):
        return len(result) == len(picks) and paths == [((False, index),) for index in range(len(picks))]
    return isinstance(result, torch.Tensor)


def _how(result: Any, picks: Sequence[Pick]) -> str:
    if isinstance(result, torch.Tensor):
        return ONE_TENSOR
    places = [text(pick.path) for pick in picks]
    if places == [pick.name for pick in picks]:
        return BY_NAME
    if places == [str(index) for index in range(len(picks))]:
        return BY_ORDER
    return ", ".join(f"{pick.name} from {place or 'the list'}" for pick, place in zip(picks, places, strict=True))


def _example(result: Any) -> str:
    place = next((text(path) for path, value in leaves(result) if isinstance(value, torch.Tensor) and path), "logits")
    # YAML would read 1.1 as a number.
    return f'"{place}"' if place.replace(".", "").isdecimal() and not place.endswith(".0") and "." in place else place
