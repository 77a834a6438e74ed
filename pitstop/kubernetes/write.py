"""Manifests as the text of files, from the templates in report/templates/kubernetes/.

Each file says how it was made, so that nobody corrects the copy.
"""

from collections.abc import Sequence
from importlib.metadata import version
from typing import Any

from configs.problems import mapping

from ..report.render import render, yaml_text
from .groups import Group

_FILES = (
    "rayservice.yaml",
    "network-policy.yaml",
    "disruption-budgets.yaml",
    "service-monitor.yaml",
    "kserve-runtime.yaml",
)
_FOR_EDITORS = "# yaml-language-server:"


def manifests(name: str, image: str, config: str, text: str, raw: Any, groups: Sequence[Group]) -> dict[str, str]:
    """Return the files by name. `config` is the path of the Serve config, `text` its content, `raw` what it means."""
    head = f"# Written by `pitstop kubernetes {yaml_text(config)}`: change that file and run the command again.\n"
    values = {
        "name": name,
        "image": image,
        "text": _stripped(text),
        "groups": groups,
        "ports": _serve_ports(raw),
        "ray_version": version("ray"),
    }
    return {file: head + render(f"kubernetes/{file}.j2", **values) for file in _FILES}


def _serve_ports(raw: Any) -> dict[str, int]:
    """Return the ports that clients come to, by name."""
    http = {"serve": int(mapping(raw, "http_options").get("port", 8000))}
    grpc = mapping(raw, "grpc_options")
    return {**http, "grpc": int(grpc.get("port", 9000))} if grpc.get("grpc_servicer_functions") else http


def _stripped(text: str) -> str:
    """Return the text without blanks at line ends and tabs, with which YAML would not write it line by line.

    The line that names the config's JSON Schema to editors is left out: they read these files by Kubernetes' own.
    """
    lines = text.rstrip().splitlines()
    return "".join(line.rstrip().expandtabs() + "\n" for line in lines if not line.startswith(_FOR_EDITORS))
