"""Saves TorchScript to a file without a copy in memory, and without ending the process if the disk is full.

torch aborts the whole process when its own write fails. So it writes into a pipe, and a small second process writes the
file: that one may fail, and reports why.
"""

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

# After an error it still reads: torch would abort on a closed pipe as on a full disk.
_WRITER = """
import sys
failed = None
try:
    file = open(sys.argv[1], "wb", buffering=0)
except OSError as error:
    failed = error
while chunk := sys.stdin.buffer.read(1 << 20):
    view = memoryview(chunk)
    try:
        while failed is None and view:
            view = view[file.write(view):]
    except OSError as error:
        failed = error
if failed is not None:
    sys.exit(str(failed))
"""


def save(module: torch.jit.ScriptModule, path: Path, extra: Mapping[str, str]) -> None:
    """Save a module; raise OSError if the file cannot be written, RuntimeError if the module cannot be saved."""
    if _has_an_empty_tensor(module):
        # Through a pipe torch would abort. This takes memory: such networks are few.
        path.write_bytes(module.save_to_buffer(_extra_files=dict(extra)))
        return
    reading, writing = os.pipe()
    command = [sys.executable, "-I", "-S", "-c", _WRITER, str(path)]
    try:
        writer = subprocess.Popen(command, stdin=reading, stderr=subprocess.PIPE, text=True)
    except OSError:
        os.close(writing)
        raise
    finally:
        os.close(reading)
    with writer:
        try:
            torch.jit.save(module, f"/proc/self/fd/{writing}", _extra_files=dict(extra))
        finally:
            os.close(writing)
            _, said = writer.communicate()
    if writer.returncode:
        raise OSError(said.strip() or f"the process that writes it ended with {writer.returncode}")


def _has_an_empty_tensor(module: torch.jit.ScriptModule) -> bool:
    held = [*module.parameters(), *module.buffers()]
    graph: Any = module.inlined_graph
    for node in graph.findAllNodes("prim::Constant"):
        kind = node.kindOf("value") if node.hasAttribute("value") else ""
        held += [node.t("value")] if kind == "t" else node.ts("value") if kind == "ts" else []
    return any(each.numel() == 0 for each in held)
