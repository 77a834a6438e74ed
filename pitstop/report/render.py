"""Fills in the Jinja2 templates of `templates/`: pages, which are escaped as HTML, and Kubernetes manifests in YAML."""

import math
from base64 import b64encode
from functools import cache

import yaml
from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

from .colours import STYLE


def render(template: str, **values: object) -> str:
    """Return a template, filled in.

    Args:
        template: its path under `templates/`.
        values: what it names. In HTML each is escaped; in YAML the filters `yaml` and `yaml_block` write text.

    Raises:
        jinja2.UndefinedError: the template names a value that is not given.
    """
    return _environment().get_template(template).render(values)


def yaml_text(value: str) -> str:
    """Write text on one line of YAML, in quotes where YAML would take it for something else."""
    style = None if value.isprintable() else '"'
    written: str = yaml.safe_dump([value], default_style=style, width=math.inf, allow_unicode=True)
    return written.removeprefix("- ").removesuffix("\n")


def yaml_block(value: str) -> str:
    """Write text as a block of YAML, line by line as it is; indent it with Jinja's `indent` by the key's column."""
    written: str = yaml.safe_dump(value, default_style="|", width=math.inf, allow_unicode=True)
    return written.removesuffix("...\n").removesuffix("\n")


def png_url(picture: bytes) -> str:
    """Return a PNG as a URL that holds it."""
    return f"data:image/png;base64,{b64encode(picture).decode()}"


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("pitstop.report"),
        autoescape=select_autoescape(["html.j2"]),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {"yaml": yaml_text, "yaml_block": yaml_block, "png_url": png_url}
    environment.globals["colours"] = STYLE
    return environment
