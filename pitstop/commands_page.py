"""Writes docs/cli.md, every command with its options, from pitstop/commands/: python -m pitstop.commands_page.

A test compares the page with the commands, so no command and no option can be missing from it.
"""

import inspect
import re
from collections.abc import Iterator
from pathlib import Path
from types import NoneType
from typing import Any, Literal, get_args, get_origin

from typer.main import get_command

from .cli import app

PAGE = Path(__file__).resolve().parents[1] / "docs" / "cli.md"
COMMANDS: dict[str, Any] = dict(get_command(app).commands)  # type: ignore[attr-defined]
GROUPS = {
    "Set up a model": ("init", "add", "export"),
    "Check and serve": ("check", "build", "run", "kubernetes"),
    "Measure and choose": ("audit", "load", "compare", "plan", "tune"),
}
_VALUES = {str: "TEXT", float: "NUMBER", int: "INTEGER", Path: "PATH"}


def page() -> str:
    """Return the page in Markdown."""
    lines = [
        "# Command line",
        "",
        "Generated from `pitstop/commands/` by `python -m pitstop.commands_page`. `pitstop COMMAND --help` prints the",
        "same. `pitstop --version` prints the version, and `pitstop --install-completion` sets up completion for your",
        "shell: of commands, options, config files and the models in them.",
    ]
    for group, names in GROUPS.items():
        lines += ["", f"## {group}"]
        for name in names:
            lines += [
                "",
                f"### pitstop {name}",
                "",
                *_help(COMMANDS[name].help),
                "",
                "| | default | |",
                "|---|---|---|",
            ]
            lines += [f"| {' | '.join(row)} |" for row in _rows(COMMANDS[name])]
    return "\n".join(lines) + "\n"


def _help(text: str) -> Iterator[str]:
    """Yield a help's lines; its examples become blocks."""
    for number, paragraph in enumerate(text.split("\n\n")):
        if number:
            yield ""
        if example := re.fullmatch(r"Example: \[bold\](.*)\[/bold\]", paragraph, re.DOTALL):
            yield from ("```bash", *" \\\n  ".join(example[1].splitlines()).splitlines(), "```")
        else:
            yield from re.sub(r"\[/?bold\]", "`", paragraph).splitlines()


def _rows(command: Any) -> Iterator[tuple[str, str, str]]:
    # Not get_type_hints: `with_options` says its options by the signature alone.
    hints = {name: each.annotation for name, each in inspect.signature(command.callback).parameters.items()}
    for each in command.params:
        value = "" if each.param_type_name == "option" and each.is_flag else each.metavar or _value(hints[each.name])
        named = ", ".join(each.opts) if each.param_type_name == "option" else ""
        shown = f"{named} {value}".strip().replace("|", "\\|")
        yield f"`{shown}`", _default(each), " ".join([each.help or "", *_limits(each)])


def _limits(option: Any) -> Iterator[str]:
    if (least := getattr(option, "min", None)) is not None:
        yield f"{least} or more."
    if option.multiple and "may be repeated" not in option.help:
        yield "May be repeated."


def _value(hint: Any) -> str:
    """Return what stands for a value of this type, such as NUMBER, or its choices."""
    if get_origin(hint) is Literal:
        return "|".join(get_args(hint))
    return _VALUES.get(hint) or _value(next(each for each in get_args(hint) if each is not NoneType))


def _default(option: Any) -> str:
    if option.required:
        return "required"
    default = option.show_default if isinstance(option.show_default, str) else option.default
    return "" if default in (None, []) or default is False else f"`{default}`"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
