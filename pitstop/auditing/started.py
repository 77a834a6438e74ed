"""What a start makes of the compiled forward: convolutions packed for a CPU, CUDA graphs; each where it is faster."""

from dataclasses import replace

from models.errors import ModelError
from models.graphs import Graphed, graph
from models.packed import Packed, pack, packs
from models.runner import Runner
from models.torchscript import Compiled
from models.warmup import warm

from .built import Built
from .step import STARTED, Head, setting_of
from .subject import Subject, arithmetic


def head(subject: Subject, built: Built) -> Head | None:
    """Return the step, where there is something that a start would try."""
    if subject.device.type == "cuda":
        label = "CUDA graphs" if subject.config.cuda_graphs else None
    else:
        label = "packed for this CPU" if packs(built.forward, built.layout) else None
    return Head(STARTED, label, "path", 1, setting_of(subject.config)) if label else None


def started(subject: Subject, built: Built) -> Built:
    """Return the model as a replica would run it, by the functions that its start calls.

    Raises:
        ModelError: nothing was faster, so a replica runs what was compiled.
    """
    layout = replace(built.layout, sizes=subject.sizes, lengths=(subject.length,) if subject.length else ())
    runner = Runner(built.forward, subject.draw.feed, subject.outputs, layout)
    with arithmetic(built.config, subject.fixed):
        forward_ms = warm(runner, subject.draw)
        if subject.device.type == "cuda":
            graph(runner, subject.draw, forward_ms)
        else:
            pack(runner, subject.draw, Compiled(built.forward, built.how, built.note), forward_ms)
    if runner.forward is built.forward:
        raise ModelError("no faster here, at any batch size: the start leaves it out")
    return replace(built, forward=runner.forward)


def told(head: Head, built: Built) -> Head:
    """Return the head with the batches for which the start took it, where those are not all."""
    forward = built.forward
    if isinstance(forward, Graphed):
        return replace(head, label=f"{head.label}, up to {max(shape[0] for [shape, *_] in forward.graphs)} rows")
    return replace(head, label=f"{head.label}, from {forward.from_rows} rows") if isinstance(forward, Packed) else head
