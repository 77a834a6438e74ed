"""What the loaded model gives away before anything is timed: its code, its tensors, and the replica's own proofs."""

import ast
import inspect
import textwrap
from collections.abc import Callable, Iterator
from dataclasses import replace

import torch
from torch import nn

from configs.problems import Keys
from models import proof
from models.errors import ModelError
from models.padding import round_up
from models.runner import Runner
from models.warmup import warm

from .built import Built
from .finding import Finding, refusal
from .subject import Subject, arithmetic

# Without device= these make a tensor on the CPU, wherever the model is.
_MAKERS = {"arange", "empty", "eye", "full", "linspace", "ones", "rand", "randint", "randn", "tensor", "zeros"}
_WAITS = {"cpu", "item", "numpy", "tolist"}
_PROBE_ROWS = 3


def shown(subject: Subject, built: Built, args: Keys) -> Iterator[Finding]:
    """Yield what the model shows. `args` leads to its args in the file. Raise ModelError where it cannot run at all."""
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


def varies(subject: Subject) -> bool:
    """Whether a preprocess gives shapes that nobody listed."""
    if subject.draw.preprocess is None or subject.config.lengths:
        return False
    drawn = [subject.draw(2, seed, length=words) for seed, words in ((1, 4), (2, 24), (3, 64))]
    return len({tuple(array.shape[1:] for array in each.values()) for each in drawn}) > 1


def _not_finite(subject: Subject) -> str:
    """Return what is wrong where a comparison would compare nothing, and any answer would pass it."""
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
            place = f"{kind.__module__}.{kind.__name__}, line {line}"
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
    """Ask of the model what a replica asks before it is ready, at the smallest sizes: the verdict is the same."""
    layout = built.layout
    few = round_up(_PROBE_ROWS + 1, layout.sizes)
    layout = replace(layout, sizes=tuple(size for size in layout.sizes if size <= few))
    draw = subject.draw
    runner = Runner(built.forward, draw.feed, subject.outputs, layout)
    checks: tuple[tuple[int, Callable[[], proof.Verdict]], ...] = (
        (1, lambda: proof.no_training(built.module, runner, subject.reference, draw, built.config)),
        (2, lambda: proof.cudnn_fed_well(runner, fixed=subject.fixed)),
    )
    with arithmetic(built.config, subject.fixed):
        warm(runner, draw)
        failed = [(mistake, error) for mistake, check in checks if (error := _failure(check)) is not None]
    for mistake, error in failed:
        what, _, fix = str(error).partition("\nhelp: ")
        yield Finding("mistake", what, (*args, "source"), fix, mistake=mistake)


def _failure(check: Callable[[], proof.Verdict]) -> ModelError | None:
    try:
        check()
    except ModelError as error:
        return error
    return None
