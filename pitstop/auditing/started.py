"""What a start makes of the compiled forward: convolutions packed for a CPU, CUDA graphs; each where it is faster."""

from dataclasses import replace

import torch

from models.graphs import Graphed
from models.packed import Packed, packs
from models.runner import Forward
from models.served import open_model

from .built import Built
from .step import STARTED, Head, setting_of
from .subject import Subject, arithmetic


def label(subject: Subject, built: Built) -> str | None:
    """Return what a start would try to make of the compiled forward; None where there is nothing."""
    if subject.device.type == "cuda":
        return "CUDA graphs" if subject.config.cuda_graphs else None
    return "packed for this CPU" if packs(built.forward, built.layout) else None


def head(subject: Subject, built: Built) -> Head:
    return Head(STARTED, label(subject, built) or "as a start runs it", "path", 1, setting_of(subject.config))


def started(subject: Subject, built: Built) -> Built:
    """Return the model as a replica runs it: opened as its start opens it, with all that a start checks.

    Raises:
        ModelError: a start refuses it.
    """
    with arithmetic(built.config, subject.fixed):
        served = open_model(built.config, subject.device.type, module=subject.copy())
    ms = {rows: each for (rows, length), each in served.forward_ms.items() if length == subject.length}
    fastest = max(ms, key=lambda rows: rows / ms[rows], default=1)
    found = replace(built, how=served.how, fastest_rows=fastest)
    if not _changed(served.runner.forward, built.forward):
        return found
    forward = served.runner.forward
    note = "; ".join(each for each in (built.note, where(forward)) if each)
    # Beside the packed forward the plain one stays, for smaller batches, and each has its weights.
    copies = 2 if isinstance(forward, Packed) else 1
    return replace(found, forward=forward, note=note, weights_mib=copies * built.weights_mib)


def _changed(forward: Forward, compiled: Forward) -> bool:
    """Whether a start made something of what was compiled. Packing takes the place of plain convolutions."""
    return isinstance(forward, Packed | Graphed) or _convolutions(forward) < _convolutions(compiled)


def _convolutions(forward: Forward) -> int:
    return str(forward.inlined_graph).count("aten::conv") if isinstance(forward, torch.jit.ScriptModule) else 0


def where(forward: Forward) -> str:
    """Return for which batches the start took it."""
    if isinstance(forward, Graphed):
        return f"up to {max(shape[0] for [shape, *_] in forward.graphs)} rows"
    return f"from {forward.from_rows} rows on" if isinstance(forward, Packed) else ""
