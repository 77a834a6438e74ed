"""Manifests as the text of files. Each says how it was made, so that nobody corrects the copy."""

from collections.abc import Sequence
from typing import Any

import yaml

from .around import disruption_budgets, metrics, network_policy
from .groups import Group
from .pods import Manifest, Verbatim
from .ray_service import ray_service
from .serving_runtime import serving_runtime


class _Dumper(yaml.SafeDumper):
    """Writes no anchors: a reader of a manifest should not have to jump."""

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002
        return True


def _verbatim(dumper: yaml.SafeDumper, text: Verbatim) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", str(text), style="|")


_Dumper.add_representer(Verbatim, _verbatim)


def manifests(name: str, image: str, config: str, text: str, raw: Any, groups: Sequence[Group]) -> dict[str, str]:
    """Return the files by name. `config` is the path of the Serve config, `text` its content, `raw` what it means."""
    head = f"# Written by `pitstop kubernetes {config}`: change that file and run the command again.\n"
    files = {
        "rayservice.yaml": [ray_service(name, image, _stripped(text), raw, groups)],
        "network-policy.yaml": [network_policy(name, raw)],
        "disruption-budgets.yaml": disruption_budgets(name),
        "service-monitor.yaml": metrics(name),
        "kserve-runtime.yaml": [serving_runtime(name, image)],
    }
    return {file: head + _text(documents) for file, documents in files.items()}


def _stripped(text: str) -> str:
    """Return the text without blanks at line ends and tabs, with which YAML would not write it line by line."""
    return "".join(line.rstrip().expandtabs() + "\n" for line in text.splitlines())


def _text(documents: list[Manifest]) -> str:
    return yaml.dump_all(documents, Dumper=_Dumper, sort_keys=False, width=1000, allow_unicode=True)
