"""A network as a .pt2: torch.export with the number of rows left open, or a refusal that says why not."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn

from models.errors import ModelError, first_line
from models.runtime.output_paths import as_graph
from models.signature import Tensor


def write(
    module: nn.Module,
    example: Sequence[torch.Tensor],
    model_inputs: Sequence[Tensor],
    lengths: Sequence[int],
    path: Path,
) -> None:
    """Export and save. `example` has at least two rows: torch takes a size of one for a constant."""
    # One Dim shared by all inputs says that their rows and their lengths are the same.
    open_sizes: dict[int, Any] = {0: torch.export.Dim("rows", min=1)}
    with_length = dict(open_sizes)
    if len(lengths) > 1:
        # Bounded by what will come: a table of 512 positions takes no length without a limit.
        with_length[1] = torch.export.Dim("length", min=lengths[0], max=lengths[-1])
    shapes = tuple(open_sizes if tensor.fixed else with_length for tensor in model_inputs)
    try:
        with torch.no_grad():
            program = torch.export.export(as_graph(module), tuple(example), dynamic_shapes=shapes, strict=False)
    except Exception as error:  # The exporter raises a dozen unrelated types; each means "not exportable".
        raise ModelError(_why(error)) from error
    torch.export.save(program, path)


def _why(error: Exception) -> str:
    text = str(error)
    if "data-dependent" in text or "guard on" in text or "GuardOnDataDependent" in type(error).__name__:
        what, help_ = (
            "its control flow depends on the data, which an export cannot keep",
            "use --to torchscript, which scripts such a network where it can, or --to safetensors",
        )
    elif any(word in text for word in ("specializ", "specialis", "Constraints violated", "constraint")):
        what, help_ = (
            "it fixes the number of rows (or the length) that it was shown",
            "take sizes from the input, x.shape[0], never from a constant; or use --to torchscript",
        )
    else:
        what, help_ = f"torch.export cannot take it ({first_line(error)})", "use --to torchscript, or --to safetensors"
    return f"pt2: {what}\nhelp: {help_}"
