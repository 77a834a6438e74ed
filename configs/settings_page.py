"""Writes docs/settings.md, every key of `args` and `user_config`, from the schema: python -m configs.settings_page.

A test compares the page with the schema, so no key can be missing from it.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

from pydantic import BaseModel

from .schema import ModelConfig, RootConfig, Tunables

PAGE = Path(__file__).resolve().parents[1] / "docs" / "settings.md"
_PARTS = (
    ("A model's `args`", "A change restarts its replicas.", ModelConfig),
    ("A model's `user_config`", "Changes in place, while requests run.", Tunables),
    ("The root application's `args`", "", RootConfig),
)
_ENTRIES: dict[Any, str] = {tuple: "[]", dict: ".NAME"}


def page() -> str:
    """Return the page in Markdown."""
    lines = [
        "# Every setting",
        "",
        "Generated from `configs/schema.py` by `python -m configs.settings_page`. All other keys are Ray Serve's;",
        "`pitstop check` knows both. How to choose: [tuning](tuning.md), [health](health.md), [hooks](hooks.md).",
        "",
        "Editors that speak the YAML language server complete all keys, and underline wrong ones, by",
        "[configs/schema.json](../configs/schema.json). The first line of a config names it, relative to the file:",
        "`# yaml-language-server: $schema=configs/schema.json`. The shipped ones have that line.",
    ]
    for title, remark, model in _PARTS:
        lines += ["", f"## {title}", "", *([remark, ""] if remark else []), "| key | default | |", "|---|---|---|"]
        lines += [f"| `{key}` | {default} | {text} |" for key, default, text in _rows(model, "")]
    return "\n".join(lines) + "\n"


def _rows(model: type[BaseModel], prefix: str) -> Iterator[tuple[str, str, str]]:
    for name, field in model.model_fields.items():
        inner, entry = _inner(field.annotation)
        text = " ".join([field.description or "", *_choices(field.annotation), *_range(field.metadata)])
        default = field.default if field.default_factory is None else None
        yield prefix + (field.alias or name), _default(default, field.is_required(), inner), text
        if inner is not None:
            yield from _rows(inner, f"{prefix}{name}{entry}.")


def _inner(annotation: Any) -> tuple[type[BaseModel] | None, str]:
    """Return the model within an annotation, where there is one, and how a path names an entry of a list or a dict."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation, ""
    for each in get_args(annotation):
        found, entry = _inner(each)
        if found is not None:
            return found, _ENTRIES.get(get_origin(annotation), entry)
    return None, ""


def _choices(annotation: Any) -> Iterator[str]:
    for each in (annotation, *get_args(annotation)):
        if get_origin(each) is Literal:
            yield f"One of {', '.join(f'`{choice}`' for choice in get_args(each))}."


def _range(metadata: list[Any]) -> Iterator[str]:
    least = next((each.ge for each in metadata if hasattr(each, "ge")), None)
    most = next((each.le for each in metadata if hasattr(each, "le")), None)
    above = next((each.gt for each in metadata if hasattr(each, "gt")), None)
    if least is not None:
        yield f"From {least:.5g} to {most:,}." if most is not None else f"{least:.5g} or more."
    elif above is not None:
        yield f"Above {above:g}."


def _default(value: Any, required: bool, inner: type[BaseModel] | None) -> str:
    if required:
        return "required"
    return "" if value is None or inner is not None else f"`{str(value).lower()}`"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
