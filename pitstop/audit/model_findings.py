"""Findings from the loaded model before anything is timed: its code, its tensors, and the start's own checks.

Whether forward loops over its rows is counted, in operations: a timing could not tell a loop from a network that fills
a core with one row.
"""

import ast
import inspect
import textwrap
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from configs.code_files import shown
from configs.problems import Keys
from models.errors import ModelError
from models.runtime.padding import round_up
from models.runtime.runner import Runner
from models.startup import mistake_checks, stages
from models.startup.check_error import CheckError
from models.startup.prepared import Prepared
from models.startup.warmup import warm

from .built import Built
from .finding import Finding, refusal
from .subject import Subject, arithmetic, stage

# Without device= these make a tensor on the CPU, wherever the model is.
_MAKERS = {"arange", "empty", "eye", "full", "linspace", "ones", "rand", "randint", "randn", "tensor", "zeros"}
_WAITS = {"cpu", "item", "numpy", "tolist"}
_PROBE_ROWS = 3
# Batches between which operations are counted: fewer rows say too little, more only take longer.
_FEWEST, _MOST = 2, 16


def model_findings(subject: Subject, built: Built, args: Keys) -> Iterator[Finding]:
    """Yield the model's findings. `args` is the path of its args in the file. Raise ModelError if it cannot run."""
    if said := _not_finite(subject):
        yield refusal(said, args)
    yield from _stray_tensors(built, (*args, "source"))
    if subject.config.device != "cpu":
        yield from _cpu_in_forward(subject.plain, (*args, "source"))
    if varies(subject):
        what = "preprocess returns a new shape for every length of input, and no lengths are listed to pad them to"
        yield Finding("mistake", what, args, "lengths: [16, 32, 64, 128]", mistake=2)
        return
    yield from _proofs(subject, built, args)


def ops_per_row(subject: Subject, built: Built) -> float:
    """Return how many operations forward adds for each row; 0 if their number does not grow with the rows."""
    most = min(_MOST, subject.sizes[-1])
    if most < 2 * _FEWEST:
        return 0.0
    inputs = stage(subject.arrays(most), built.layout)
    sizes = (_FEWEST, (_FEWEST + most) // 2, most)
    try:
        with arithmetic(built.config, fixed=False):
            few, some, many = (_ops(built, [each[:rows] for each in inputs]) for rows in sizes)
    except Exception:  # The network's own code: a failing forward is reported elsewhere.
        return 0.0
    # A branch on the data changes the number too, but not with every row.
    rates = (some - few) / (sizes[1] - sizes[0]), (many - some) / (sizes[2] - sizes[1])
    return min(rates) if min(rates) >= 1 else 0.0


def varies(subject: Subject) -> bool:
    """Whether a preprocess returns shapes that are not listed."""
    if subject.samples.preprocess is None or subject.config.open_dims:
        return False
    drawn = [subject.samples(2, seed, words=words) for seed, words in ((1, 4), (2, 24), (3, 64))]
    return len({tuple(array.shape[1:] for array in each.values()) for each in drawn}) > 1


def _not_finite(subject: Subject) -> str:
    """Return a finding if a comparison would compare nothing, so that any answer would pass it."""
    try:
        subject.expected(1)
    except ModelError as error:
        return str(error)
    return ""


def _stray_tensors(built: Built, keys: Keys) -> Iterator[Finding]:
    for name, part in built.module.named_modules():
        for attribute, value in vars(part).items():
            if isinstance(value, torch.Tensor):
                path = f"{name}.{attribute}".lstrip(".")
                what = f"{path} is a plain tensor: it stays on the CPU when the model moves to a GPU"
                fix = f'self.register_buffer("{attribute}", ..., persistent=False), in {type(part).__name__}'
                yield Finding("warning", what, keys, fix, "a copy to the GPU in every forward, or an error")
    named = [*built.module.named_parameters(), *built.module.named_buffers()]
    for name, tensor in named:
        if tensor.device.type != built.layout.device.type:
            what = f"{name} is on {tensor.device}, the model on {built.layout.device}"
            yield Finding("warning", what, keys, "leave the device to pitstop: no .cuda() or .cpu() in the network")


def _cpu_in_forward(module: nn.Module, keys: Keys) -> Iterator[Finding]:
    for kind in dict.fromkeys(type(part) for part in module.modules()):
        if kind.__module__.partition(".")[0] == "torch":
            continue
        for line, what in _calls(kind):
            place = f"{shown(kind.__module__)}.{kind.__name__}, line {line}"
            fix = "make it from an input (x.new_zeros, device=x.device), or keep it as a buffer"
            yield Finding("hint", f"{place}: {what}", keys, fix)


def _calls(kind: type) -> Iterator[tuple[int, str]]:
    try:
        lines, first = inspect.getsourcelines(kind.forward)  # type: ignore[attr-defined]
        tree = ast.parse(textwrap.dedent("".join(lines)))
    except (OSError, TypeError, SyntaxError):
        return
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
            continue
        name, owner = node.func.attr, node.func.value
        of_torch = isinstance(owner, ast.Name) and owner.id == "torch"
        if of_torch and name in _MAKERS and not any(each.arg == "device" for each in node.keywords):
            yield first + node.lineno - 1, f"torch.{name} without device= makes a CPU tensor in every forward"
        elif not of_torch and name in _WAITS:
            yield first + node.lineno - 1, f".{name}() waits for the GPU in every forward"


def _proofs(subject: Subject, built: Built, args: Keys) -> Iterator[Finding]:
    """Run a replica's checks on the model, at the smallest sizes: the results are the same."""
    layout = built.layout
    few = round_up(_PROBE_ROWS + 1, layout.sizes)
    layout = replace(layout, sizes=tuple(size for size in layout.sizes if size <= few))
    ready = Prepared(built.module, subject.samples, subject.outputs, layout, built.config)
    runner = Runner(built.forward, subject.samples.model_inputs, subject.outputs, layout)
    checks: tuple[Callable[[], object], ...] = (
        lambda: stages.prove_rows(ready, runner, subject.reference),
        lambda: mistake_checks.warmed_shapes(runner, fixed=subject.fixed),
    )
    with arithmetic(built.config, subject.fixed):
        warm(runner, subject.samples)
        failed = [error for check in checks if (error := _failure(check)) is not None]
    for error in failed:
        yield Finding("mistake", error.what, (*args, "source"), error.help, mistake=error.result.mistake)


def _failure(check: Callable[[], object]) -> CheckError | None:
    try:
        check()
    except CheckError as error:
        return error
    return None


class _Counter(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Counts the operations of a forward, those of TorchScript too."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.count: int = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.count += 1
        return func(*args, **(kwargs or {}))


def _ops(built: Built, inputs: Sequence[torch.Tensor]) -> int:
    counter = _Counter()
    with counter, torch.inference_mode():
        built.module(*inputs)
    return counter.count
