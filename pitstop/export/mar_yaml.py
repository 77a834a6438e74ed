"""The config that an imported archive is served with: complete, ready for `pitstop check` and `serve run`.

What could not be carried over stands in it as comments, above the model that it belongs to.
"""

import math
import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

from ..yaml_edit.new_config import application, head

_TITLE = """\
# {name}, imported from the TorchServe archive {archive} by `pitstop export --mar`.

"""
_WIDTH = 120


def render(archive: str, args: Mapping[str, Any], deployment: Mapping[str, Any], lost: Sequence[str]) -> str:
    """Return the file. `args` is a ModelConfig as a mapping, `deployment` the deployment's own keys."""
    # HAProxy must not give up before the model does.
    patience_s = max(60, 2 * math.ceil(deployment.get("user_config", {}).get("request_timeout_s", 0)))
    title = _TITLE.format(name=args["name"], archive=_plain(archive))
    model = textwrap.indent(application(args, deployment), "  ")
    return title + head(patience_s) + _comments(lost) + model


def _comments(lost: Sequence[str]) -> str:
    if not lost:
        return "  # Everything in the archive was carried over.\n"
    lines = ["  # Not carried over from TorchServe:"]
    for each in lost:
        # A setting's text is the archive's: a line break in it must not end the comment.
        lines += textwrap.wrap(_plain(each), _WIDTH, initial_indent="  # - ", subsequent_indent="  #   ")
    return "\n".join(lines) + "\n"


def _plain(text: str) -> str:
    return "".join(character if character.isprintable() else " " for character in text)
