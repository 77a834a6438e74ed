"""A network as a .pt2: torch.export with the number of rows left open, or a refusal that says why not."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn

from models.errors import ModelError, first_line
from models.runtime.dims import Dim
from models.runtime.output_paths import as_graph
from models.signature import Tensor


def write(
    module: nn.Module,
    example: Sequence[torch.Tensor],
    model_inputs: Sequence[Tensor],
    dims: Sequence[Dim],
    path: Path,
) -> None:
    """Export and save. `example` has at least two rows: torch takes a size of one for a constant."""
    # One Dim shared by all inputs says that their sizes are the same.
    rows: Any = torch.export.Dim("rows", min=1)
    # Bounded by what will come: a table of 512 positions takes no length without a limit.
    sizes: dict[str, Any] = {
        dim.name: torch.export.Dim(dim.name or "length", min=dim.sizes[0], max=dim.sizes[-1])
        for dim in dims
        if len(dim.sizes) > 1
    }
    shapes = tuple(
        {0: rows, **{each.axis: sizes[each.name] for each in tensor.named if each.name in sizes}}
        for tensor in model_inputs
    )
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
            "it fixes the number of rows (or another open size) that it was shown",
            "take sizes from the input, x.shape[0], never from a constant; or use --to torchscript",
        )
    else:
        what, help_ = f"torch.export cannot take it ({first_line(error)})", "use --to torchscript, or --to safetensors"
    return f"pt2: {what}\nhelp: {help_}"
