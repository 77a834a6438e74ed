"""What `pitstop add` does to a config that is there: one more application behind the others."""

import textwrap
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from configs.document import read
from configs.loader import check
from configs.problems import ConfigError, items, mapping
from models.errors import ModelError

from ..yaml_edit.append import anchor_of, append_application
from . import write
from .draft import Draft


def refuse_clash(config: Path, name: str) -> None:
    """Raise ModelError where an application of the file has the name or the route."""
    raw = read(config).raw
    for _, app in items(raw, "applications"):
        if (
            name in (app.get("name"), mapping(app, "args").get("name"))
            or app.get("route_prefix") == f"/v2/models/{name}"
        ):
            raise ModelError(f"{config}: has a model {name!r} already\nhelp: give this one another name with --name")


def extended(config: Path, draft: Draft, args: Mapping[str, Any], checked: Path) -> str:
    """Return the text of the file with the model behind the others.

    Args:
        config: the file.
        draft: the model.
        args: its args.
        checked: a file to check it in.

    Raises:
        PatchError, ConfigError: it has no place for it, or would not be a good config then.
    """
    text = config.read_text(encoding="utf-8")
    variables = mapping(read(config).raw, "controller_options", "runtime_env", "env_vars")
    anchor = anchor_of(text)
    environment = f"{{env_vars: *{anchor}}}" if anchor else _flow({"env_vars": dict(variables)})
    item = write.item(draft, args, environment)
    after = yaml.safe_load(textwrap.dedent(item.replace(f"*{anchor}", _flow(dict(variables))) if anchor else item))[0]
    found = append_application(text, item, after)
    checked.write_text(found, encoding="utf-8")
    known = {problem.what for _, problem in check(config)[1]}
    for place, problem in check(checked)[1]:
        if problem.severity == "error" and problem.what not in known:
            raise ConfigError(problem.text(place.replace(str(checked), str(config))))
    return found


def _flow(value: Mapping[str, Any]) -> str:
    return str(yaml.safe_dump(dict(value), default_flow_style=True, sort_keys=False, width=100_000)).strip()
