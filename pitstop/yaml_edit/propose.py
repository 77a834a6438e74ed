"""Shows what a user's file needs as a diff, and makes the change where that was asked."""

from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from .patch import Change, diff, patch, write


def propose(path: Path, changes: Sequence[Change], written: bool, console: Console) -> str:
    """Show, and write where asked, what the file needs; return its new text."""
    text = path.read_text(encoding="utf-8")
    patched = patch(text, changes)
    if patched == text:
        console.print(f"\n{path} is set so already")
        return patched
    console.print(f"\n{'written to' if written else 'for'} {path}{'' if written else ' (--write makes the change)'}:")
    console.print(diff(text, patched, path), markup=False, soft_wrap=True)
    if written:
        write(path, patched)
    return patched
