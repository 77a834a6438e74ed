"""The text of what `pitstop init` writes: a config, a client and a test."""

import os
import re
import textwrap
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from configs.code_files import PROJECT

from ..report.render import render
from ..yaml_edit.new_config import application, head
from .draft import Draft

# What editors complete and check YAML by; the line is written where the file is there.
SCHEMA = PROJECT / "configs" / "schema.json"
CONFIG, CLIENT = "serve.yaml", "client.py"
_FIRST = ("name", "device", "num_cpus", "num_gpus", "source")
_LAST = ("inputs", "outputs", "dims", "preprocess", "predict")
_NOTES = {
    "device": "a GPU if there is one, else the CPU; the log says which",
    "num_cpus": "what Ray reserves of the machine for a replica",
    "num_gpus": "the share of a GPU, where there is one",
    "example": "a real input, for the checks of the start",
    "dims": "the sizes that are warmed (docs/shapes.md)",
}
_BOUNDS = "high: the greatest number that a request may have, as an id of an embedding"


def config(draft: Draft, args: Mapping[str, Any], path: Path, options: str) -> str:
    """Return a whole config with this model. `path` is where it will be, `options` what the user typed."""
    title = (
        f"# {draft.name}, written by `pitstop init {options}`.\n# Every key: docs/settings.md. Errors: `pitstop check`."
    )
    schema = ""
    if SCHEMA.is_file():
        schema = f"# yaml-language-server: $schema={os.path.relpath(SCHEMA, path.resolve().parent)}\n"
    return f"{schema}{title}\n\n{head()}{textwrap.indent(item(draft, args), '  ')}"


def item(draft: Draft, args: Mapping[str, Any], environment: str | None = None) -> str:
    """Return the model's application as an item of `applications`."""
    whole = {"device": "auto", "num_cpus": 0.5, "num_gpus": 0.5, **args}
    middle = [key for key in whole if key not in (*_FIRST, *_LAST)]
    ordered = {key: whole[key] for key in (*_FIRST, *middle, *_LAST) if key in whole}
    remark = "" if "outputs" in args else f"outputs, as the start finds them: {draft.outputs}"
    given = {} if environment is None else {"environment": environment}
    return application(ordered, draft.deployment, notes=_notes(draft, args), remark=remark, **given)


def _notes(draft: Draft, args: Mapping[str, Any]) -> dict[str, str]:
    if any("INT" in each["datatype"] and isinstance(each.get("high"), int) for each in args.get("inputs", ())):
        return {**_NOTES, "inputs": _BOUNDS}
    if draft.kind != "picture" or "pretrained" in args["source"]:
        return _NOTES
    if "predict" in args:
        return {**_NOTES, "predict": "reads a picture: how it is resized, mean and std are there"}
    key = "inputs" if "inputs" in args else "example"
    return {**_NOTES, key: "a picture is resized to this size, and no mean or std is applied (docs/predict.md)"}


def client(draft: Draft) -> str:
    """Return a program that asks the model, with requests alone."""
    return render("init/client.py.j2", name=draft.name, kind=draft.kind, inputs=draft.sizes)


def test_file(name: str) -> str:
    """Return the test's name: pytest tells files by it, so each model has another."""
    return f"test_{re.sub(r'[^A-Za-z0-9_]', '_', name)}.py"


def test(draft: Draft, path: Path, own: Path) -> str:
    """Return a test of the running service; `path` is the config's and `own` the test's."""
    # Bytes of a file are no text, which JSON needs.
    raw = draft.kind in ("picture", "sound") and not draft.sizes
    return render(
        "init/test_service.py.j2", name=draft.name, raw=raw, config=str(path), own=str(own), redrawn=draft.redrawn
    )
