"""A network as a .pt2: torch.export with the number of rows left open, or a refusal that says why not."""

from pathlib import Path

import torch

from models.compile.build import Network
from models.compile.exporting import exported
from models.compile.refused import Refused
from models.errors import ModelError

_OTHERWISE = "use --to torchscript, or --to safetensors"
_HELP = {
    "data_branch": "use --to torchscript, which scripts such a network where it can, or --to safetensors",
    "fixed_size": "take sizes from the input, x.shape[0], never from a constant; or use --to torchscript",
}


def write(given: Network, path: Path) -> None:
    """Export and save."""
    made = exported(given)
    if isinstance(made, Refused):
        raise ModelError(f"pt2: {_why(made)}\nhelp: {_HELP.get(made.code, _OTHERWISE)}")
    torch.export.save(made.program, path)


def _why(refused: Refused) -> str:
    if refused.code == "data_branch":
        return f"its {refused.sentence}, which an export cannot keep"
    return f"it fixes {refused.said} that it was shown" if refused.code == "fixed_size" else refused.sentence
