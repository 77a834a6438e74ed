"""What a start makes of the compiled forward: convolutions packed for a CPU, CUDA graphs; each where it is faster."""

from dataclasses import replace

from models.errors import ModelError
from models.graphs import Graphed
from models.packed import Packed, packs
from models.runner import Forward, Runner
from models.served import quicken
from models.torchscript import Compiled

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
    runner = Runner(built.forward, subject.draw.feed, subject.outputs, built.layout)
    with arithmetic(built.config, subject.fixed):
        compiled = Compiled(built.forward, built.how, built.note)
        quicken(runner, subject.draw, compiled, subject.config, before_graphs=lambda: None)
    if runner.forward is built.forward:
        raise ModelError("no faster here, at any batch size: the start leaves it out")
    forward = runner.forward
    note = "; ".join(each for each in (built.note, where(forward)) if each)
    # Beside the packed forward the plain one stays, for smaller batches, and each has its weights.
    copies = 2 if isinstance(forward, Packed) else 1
    return replace(built, forward=forward, note=note, weights_mib=copies * built.weights_mib)


def as_started(subject: Subject, built: Built) -> Built:
    """Return the model as a replica would run it, whether or not its start finds anything faster."""
    try:
        return started(subject, built) if head(subject, built) else built
    except ModelError:
        return built


def where(forward: Forward) -> str:
    """Return for which batches the start took it."""
    if isinstance(forward, Graphed):
        return f"up to {max(shape[0] for [shape, *_] in forward.graphs)} rows"
    return f"from {forward.from_rows} rows on" if isinstance(forward, Packed) else ""
