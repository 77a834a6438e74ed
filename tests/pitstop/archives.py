"""Writes TorchServe archives as torch-model-archiver 0.12 does: files flat in a zip, and MAR-INF/MANIFEST.json."""

import json
import zipfile
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import nn

MODEL = """\
from torch import nn

from widths import WIDTH


class Head(nn.Module):
    def __init__(self):
        super(Head, self).__init__()
        self.fc = nn.Linear(3, WIDTH)

    def forward(self, x):
        return self.fc(x)


class Net(nn.Module):
    def __init__(self):
        super(Net, self).__init__()
        self.head = Head()

    def forward(self, x):
        return self.head(x.mean((2, 3)))
"""
RENAMES = """
    def load_state_dict(self, tensors, strict=True):
        return super().load_state_dict({key.replace("old.", "head."): value for key, value in tensors.items()}, strict)
"""
FILES = {"model.py": MODEL, "widths.py": "WIDTH = 5\n"}


class Net(nn.Module):
    """The network of MODEL, for the tests' own use."""

    def __init__(self) -> None:
        super().__init__()
        self.head = nn.ModuleDict({"fc": nn.Linear(3, 5)})

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head["fc"](x.mean((2, 3)))  # type: ignore[no-any-return]


def weights(path: Path, prefix: str = "head.") -> Path:
    torch.save({key.replace("head.", prefix): value for key, value in Net().state_dict().items()}, path)
    return path


def archive(path: Path, files: Mapping[str, str | bytes], **model: str) -> Path:
    """Write an archive; `model` is the manifest's entry, and what is not named there is as it usually is."""
    entry = {"modelName": path.stem, "modelVersion": "1.0", "handler": "image_classifier", **model}
    manifest = {"createdOn": "25/11/2026 00:44:46", "runtime": "python", "model": entry, "archiverVersion": "0.12.0"}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as target:
        for name, content in files.items():
            target.writestr(name, content)
        target.writestr("MAR-INF/MANIFEST.json", json.dumps(manifest, indent=2))
    return path


def labels(count: int = 5) -> str:
    return json.dumps({str(index): [f"n{index:08}", f"name{index}"] for index in range(count)})


def eager(folder: Path, prefix: str = "head.", more: Mapping[str, str | bytes] | None = None, **model: str) -> Path:
    """Write net.mar: model file, its neighbour, weights and labels."""
    content = weights(folder / "net.pth", prefix).read_bytes()
    files = {**FILES, "net.pth": content, "index_to_name.json": labels(), **(more or {})}
    return archive(folder / "net.mar", files, serializedFile="net.pth", modelFile="model.py", **model)
