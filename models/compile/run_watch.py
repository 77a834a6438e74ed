"""Watches a network while it runs eagerly, for what a recording of one run, a trace or an export, cannot show.

Neither the tracer's warnings nor an export tell all of it: torch.equal warns of nothing, a network may silence the
warnings, and its own `except` may swallow the error by which an export tells of a branch.
"""

import sys
import threading
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from functools import wraps
from types import FrameType
from typing import Any
from unittest.mock import patch

import torch
from torch import nn
from torch.multiprocessing.reductions import StorageWeakRef
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.weak import WeakIdKeyDictionary

from ..errors import first_line
from ..user_code import call
from .build import Staged
from .refused import Refused, RefusedCode
from .source_lines import SourceLine, innermost, of_the_network
from .try_blocks import inside_try

# Methods of a tensor that give its numbers to Python by an operator, and by none.
_ITEMS = ("item", "__bool__", "__int__", "__float__", "__index__")
_READS = ("numpy", "tolist", "data_ptr", "storage", "untyped_storage", "__array__", "__dlpack__")
_SPARSE = {torch.sparse_coo, torch.sparse_csr, torch.sparse_csc, torch.sparse_bsr, torch.sparse_bsc}
_INDEX = torch.ops.aten.index.Tensor
_MOST_CALLS = 6
_HIGHER_ORDER = "HigherOrderOperator"
# As it is where it is not watched.
_STORAGE = torch.Tensor.untyped_storage


class RunWatch:
    """What the first calls of a network showed; `read`: the first line where Python reads a number of the data.

    `sizes`: a tensor's size followed the data. `refused`: why a recording of the network cannot be trusted.
    """

    def __init__(self) -> None:
        self.read: SourceLine | None = None
        self.sizes = False
        self._noted: dict[RefusedCode, SourceLine] = {}
        self._failed, self._branches = "", False
        self._calls = 0
        # What holds the data, in the call that is watched; True where a size followed it.
        self._data = Memory()

    def refused(self, way: str) -> Refused | None:
        """Return why a trace (`way` is trace), or what a backend makes of an export, cannot be trusted."""
        # A branch that is written as torch.cond is an export's to judge.
        if self._failed and (way == "trace" or not self._branches):
            return Refused(way, "not_compilable", self._failed)
        for code, line in self._noted.items():
            # An export judges these.
            if way == "trace" or code not in ("data_branch", "data_rank"):
                return Refused(way, code, "", 0.0, line.file, line.line, line.text)
        return None

    def call(self, module: nn.Module, *inputs: torch.Tensor) -> Any:
        """Call a network; watch it, unless some calls were watched already."""
        self._calls += 1
        if self._calls > _MOST_CALLS:
            return call(module, *inputs)
        given = [each.clone() for each in inputs]
        try:
            with self._watching(sys._getframe(), inputs):
                return call(module, *inputs)
        except Exception as error:
            # Dynamo, by which torch.cond runs, would remember the failure.
            if (dynamo := sys.modules.get("torch._dynamo")) is not None:
                dynamo.reset()
            # What fails without a watch too is the network's own error.
            returned = call(module, *given)
            self._failed = first_line(error)
            self._branches = _HIGHER_ORDER in str(error)
            return returned

    @contextmanager
    def _watching(self, outer: FrameType, inputs: Sequence[torch.Tensor]) -> Iterator[None]:
        self._data = Memory()
        self._data.add(inputs, False)
        thread = threading.get_ident()

        def noting(owner: Any, name: str, note: Callable[[Any], None], elsewhere: bool = False) -> Any:
            own = getattr(owner, name)

            @wraps(own)
            def noted(of: Any, *rest: Any, **keys: Any) -> Any:
                if threading.get_ident() == thread:
                    note(of)
                elif elsewhere:  # Nothing else reads tensors while a model is opened.
                    self._noted.setdefault("threads", SourceLine("", 0, ""))
                return own(of, *rest, **keys)

            return patch.object(owner, name, noted)

        def starts(_: Any) -> None:
            self._note("threads", outer)

        def reads(of: Any) -> None:
            self.reads([of], outer)

        with ExitStack() as stack:
            # A mode of torch would see them too, but it switches off torch's fast paths: another way than eager's own.
            for name in _READS:
                stack.enter_context(noting(torch.Tensor, name, reads, elsewhere=True))
            for name in _ITEMS:
                stack.enter_context(noting(torch.Tensor, name, lambda _: None, elsewhere=True))
            for owner in (torch, torch.utils.dlpack):
                stack.enter_context(noting(owner, "to_dlpack", reads))
            stack.enter_context(noting(threading.Thread, "start", starts))
            stack.enter_context(noting(ThreadPoolExecutor, "submit", starts))
            stack.enter_context(_Operators(self, outer))
            yield

    def runs(self, operator: Any, given: Sequence[Any], outer: FrameType) -> None:
        """Note what an operator tells before it runs: it may raise, which the network then catches."""
        if torch.Tag.data_dependent_output in operator.tags:
            self.reads(given, outer)
        elif _tells(operator) and self._of_data(given):
            # In C++, where it decides of a fast path, which neither an export nor another trace takes.
            self._note("data_branch", outer)
        if self._sized(given) and _may_drop_rows(operator, given):
            self._note("data_rank", outer)
        if "catches" not in self._noted and inside_try(sys._getframe(2), outer):
            self._note("catches", outer)

    def made(self, operator: Any, given: Sequence[Any], changed: Sequence[Any], made: Any) -> None:
        """Note what an operator made of the data, or changed by it."""
        if not self._of_data(given):
            return
        dynamic = torch.Tag.dynamic_output_shape in getattr(operator, "tags", ())
        sized = dynamic and (operator is not _INDEX or _by_mask(given))
        self.sizes |= sized or any(each.layout in _SPARSE for each in _tensors(made))
        self._data.add(_tensors((made, changed)), sized or self._sized(given))

    def reads(self, given: Sequence[Any], outer: FrameType) -> None:
        """Note that Python reads a number now, if it is one of the data."""
        if self.read is None and self._of_data(given):
            self.read = _line_in(sys._getframe(1), outer)

    def _note(self, code: RefusedCode, outer: FrameType) -> None:
        self._noted.setdefault(code, _line_in(sys._getframe(1), outer))

    def _of_data(self, given: Any) -> bool:
        return any(self._data.has(each) is not None for each in _tensors(given))

    def _sized(self, given: Any) -> bool:
        return any(self._data.has(each) for each in _tensors(given))


class Memory:
    """Memory that is known by a word: views and aliases of a tensor share its memory, and its word."""

    def __init__(self) -> None:
        self._by_storage: dict[int, tuple[StorageWeakRef, bool]] = {}
        # A sparse tensor has no memory of its own.
        self._others: WeakIdKeyDictionary = WeakIdKeyDictionary()

    def add(self, tensors: Iterable[torch.Tensor], word: bool) -> None:
        for each in tensors:
            try:
                # While it is referred to so, no other memory gets its number.
                storage = StorageWeakRef(_STORAGE(each))  # type: ignore[no-untyped-call]
                self._by_storage[storage.cdata] = (storage, word)
            except (NotImplementedError, RuntimeError):
                self._others[each] = word

    def has(self, tensor: torch.Tensor) -> bool | None:
        """Return the word; None where its memory is not known."""
        try:
            storage = StorageWeakRef(_STORAGE(tensor))  # type: ignore[no-untyped-call]
        except (NotImplementedError, RuntimeError):
            return bool(self._others[tensor]) if tensor in self._others else None
        return self._by_storage[storage.cdata][1] if storage.cdata in self._by_storage else None


def watched(module: nn.Module, probes: Sequence[Staged]) -> RunWatch:
    """Watch a network with each of these inputs."""
    watch = RunWatch()
    for probe in probes:
        with torch.no_grad():
            watch.call(module, *[each.clone() for each in probe])
    return watch


class _Operators(TorchDispatchMode):  # type: ignore[no-untyped-call]
    def __init__(self, watch: RunWatch, outer: FrameType) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._watch, self._outer = watch, outer

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        keys = kwargs or {}
        given, changed = (*args, *keys.values()), _changed(func, args, keys)
        if isinstance(func, torch._ops.OpOverload):
            self._watch.runs(func, given, self._outer)
        made = func(*args, **keys)
        self._watch.made(func, given, changed, made)
        return made


def _changed(operator: Any, args: Sequence[Any], keys: Mapping[str, Any]) -> list[Any]:
    """Return the arguments that an operator writes into."""
    schema = getattr(operator, "_schema", None)
    if schema is None or not schema.is_mutable:
        return []
    written = [(place, each.name) for place, each in enumerate(schema.arguments) if _is_written(each)]
    return [args[place] if place < len(args) else keys.get(name) for place, name in written]


def _is_written(argument: Any) -> bool:
    return argument.alias_info is not None and bool(argument.alias_info.is_write)


def _tensors(values: Any) -> Iterator[torch.Tensor]:
    """Yield the tensors of operators' arguments and results."""
    if isinstance(values, torch.Tensor):
        yield values
    elif isinstance(values, tuple | list):
        for each in values:
            yield from _tensors(each)


def _tells(operator: Any) -> bool:
    """Whether an operator returns a truth."""
    return [str(each.type) for each in operator._schema.returns] == ["bool"]


def _may_drop_rows(operator: Any, given: Sequence[Any]) -> bool:
    """Whether the first dimension goes if it is one: a size that follows the data is nearly always the first."""
    if not operator.name().startswith("aten::squeeze"):
        return False
    dims = given[1] if len(given) > 1 else 0
    return any(each in (0, -given[0].dim()) for each in (dims if isinstance(dims, list | tuple) else [dims]))


def _by_mask(given: Sequence[Any]) -> bool:
    return any(each is not None and each.dtype in (torch.bool, torch.uint8) for each in given[1])


def _line_in(frame: FrameType | None, outer: FrameType) -> SourceLine:
    """Return the innermost line of the network, in the call that `outer` has made."""
    while frame is not None and frame is not outer:
        if of_the_network(frame) and (line := innermost(traceback.extract_stack(frame, limit=1))) is not None:
            return line
        frame = frame.f_back
    return SourceLine("", 0, "")
