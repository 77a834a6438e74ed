"""Makes TorchScript that tells the truth: scripted where possible, traced only when the trace proves faithful.

A trace writes down one run. Where the model's control flow depends on its data, the trace repeats the branch that its
example took, and answers other inputs wrongly without a word. So a trace is refused as soon as the tracer warns of a
value it had to freeze, or fresh inputs at several batch sizes answer otherwise than eagerly; then the model is scripted
or, where it cannot be, served eagerly, with the reason kept.
"""

import logging
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from . import artefacts
from .input_binding import loaded_script
from .layout import Layout
from .parity import Tolerance, deviation
from .runner import Forward, in_order
from .signature import Tensor
from .user_code import call

Staged = Sequence[torch.Tensor]
_log = logging.getLogger("pitstop")


@dataclass(frozen=True, slots=True)
class Compiled:
    """A forward, how it was made (eager, script, trace, compile), and why not as asked where that differs."""

    forward: Forward
    how: str
    note: str = ""
    cached: bool = False


def torchscript(
    module: nn.Module,
    probes: Sequence[Staged],
    outputs: Sequence[Tensor],
    layout: Layout,
    method: str,
    tolerance: Tolerance,
    made_from: str = "",
) -> Compiled:
    """Compile, or load what an earlier start compiled of the same.

    Args:
        module: what is compiled.
        probes: inputs on the device, of several batch sizes.
        outputs: what forward returns.
        layout: where and in which arithmetic it runs.
        method: auto, script or trace.
        tolerance: how far a trace may be off.
        made_from: what names the module's source, where its weights and code do not tell all.
    """
    if isinstance(module, torch.jit.ScriptModule):
        return Compiled(_frozen(module), "script", "loaded as TorchScript")
    if loaded_script(module) is not None:
        return Compiled(module, "script", "loaded as TorchScript")
    key = artefacts.key_of(module, layout, method, made_from)
    kept = artefacts.read(key, layout.device)
    if kept is not None:
        return Compiled(*kept, cached=True)
    made, how, note = faithful(module, probes, outputs, method, tolerance)
    if made is None:
        _log.warning("TorchScript would give other answers, so the model runs in eager mode: %s", note)
        return Compiled(module, "eager", note)
    frozen = _frozen(made)
    artefacts.write(key, frozen, how, note)
    return Compiled(frozen, how, note)


def faithful(
    module: nn.Module, probes: Sequence[Staged], outputs: Sequence[Tensor], method: str, tolerance: Tolerance
) -> tuple[torch.jit.ScriptModule | None, str, str]:
    """Script or trace so that it answers as eager does; None, "eager" and the reasons where neither does."""
    notes = []
    for way in {"auto": ("script", "trace"), "script": ("script",), "trace": ("trace", "script")}[method]:
        made, note = _script(module) if way == "script" else _trace(module, probes, outputs, tolerance)
        if note:
            notes.append(note)
        if made is not None:
            return made, way, "; ".join(notes)
    return None, "eager", "; ".join(notes)


def _script(module: nn.Module) -> tuple[torch.jit.ScriptModule | None, str]:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            return call(torch.jit.script, module), ""
    except Exception as error:  # The compiler raises half a dozen unrelated types; each means "not scriptable".
        return None, f"not scriptable ({_first_line(error)})"


def _trace(
    module: nn.Module, probes: Sequence[Staged], outputs: Sequence[Tensor], tolerance: Tolerance
) -> tuple[torch.jit.ScriptModule | None, str]:
    try:
        with warnings.catch_warnings(record=True) as heard, torch.no_grad():
            warnings.simplefilter("always")
            traced: Any = call(torch.jit.trace, module, tuple(probes[0]), check_trace=False, strict=False)
    except Exception as error:  # As above: any failure of the tracer means "not traceable".
        return None, f"not traceable ({_first_line(error)})"
    froze = [str(each.message) for each in heard if issubclass(each.category, torch.jit._trace.TracerWarning)]
    if froze:
        reason = froze[0].partition(". ")[0]
        return None, f"a trace would lie: control flow depends on the data ({reason})"
    off = _disagreement(module, traced, probes, outputs)
    if off > max(tolerance.relative, tolerance.disagree):
        return None, f"a trace would lie: on fresh inputs it differs from eager by {off:.2g}"
    return traced, ""


def _disagreement(module: nn.Module, traced: Forward, probes: Sequence[Staged], outputs: Sequence[Tensor]) -> float:
    worst = 0.0
    with torch.no_grad():
        for probe in probes:
            try:
                found = in_order(call(traced, *probe), outputs)
            except RuntimeError:
                return float("inf")
            expected = in_order(call(module, *probe), outputs)
            offs = [deviation(*pair) for pair in zip(found, expected, strict=True)]
            worst = max([worst, *(off for off in offs if off is not None)])
    return worst


def _frozen(module: torch.jit.ScriptModule) -> torch.jit.ScriptModule:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        if hasattr(module, "training"):
            module = torch.jit.freeze(call(module.eval))
        return module


def _first_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return f"{type(error).__name__}: {lines[0][:160]}" if lines else type(error).__name__
