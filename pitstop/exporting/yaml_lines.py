"""The lines of an application's `args` that serve an artefact, to be pasted into a config."""

from collections.abc import Mapping
from typing import Any

import yaml

from configs.schema import TensorConfig

from .job import Job, Made


def args_of(job: Job, made: Made, location: str, sha256: str) -> dict[str, Any]:
    """Return source, signature and what belongs to them. A factory nobody named is left as a placeholder."""
    args: dict[str, Any] = {"source": source_of(job, made, location, sha256)}
    if job.inputs:
        args |= {"inputs": [tensor(each) for each in job.inputs], "outputs": [tensor(each) for each in made.outputs]}
    if job.lengths:
        args["lengths"] = list(job.lengths)
    if job.preprocess:
        args["preprocess"] = job.preprocess
    if job.to == "pt2":
        args["backend"] = "eager"
    return args


def source_of(job: Job, made: Made, location: str, sha256: str) -> dict[str, Any]:
    if job.to == "torchscript":
        return {"torchscript": location, "sha256": sha256}
    if job.to == "pt2":
        return {"export": location, "sha256": sha256}
    kwargs = dict(job.source.kwargs) if job.source is not None else {}
    found: dict[str, Any] = {"factory": made.factory or "package.module:callable"}
    return {**found, **({"kwargs": kwargs} if kwargs else {}), "weights": location, "sha256": sha256}


def tensor(config: TensorConfig) -> dict[str, Any]:
    return config.model_dump(mode="json", exclude_none=True)


def dump(args: Mapping[str, Any]) -> str:
    """Return YAML in the keys' own order, short lists on one line."""
    text: str = yaml.dump(_flowing(args), Dumper=_Dumper, sort_keys=False, width=120, allow_unicode=True)
    return text


class _Flow(dict[str, Any]):
    """A mapping that fits on one line."""


class _Row(list[Any]):
    """A list that fits on one line."""


class _Dumper(yaml.SafeDumper):
    """Writes tensors as the shipped configs have them: one a line."""

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:  # noqa: ARG002 (pyyaml's own signature)
        super().increase_indent(flow, False)


_Dumper.add_representer(_Flow, lambda dumper, data: dumper.represent_mapping("tag:yaml.org,2002:map", data, True))
_Dumper.add_representer(_Row, lambda dumper, data: dumper.represent_sequence("tag:yaml.org,2002:seq", data, True))


def _flowing(value: Any, key: str = "") -> Any:
    if isinstance(value, Mapping):
        inner = {name: _flowing(each, name) for name, each in value.items()}
        return _Flow(inner) if key in ("inputs", "outputs") else inner
    if isinstance(value, list):
        items = [_flowing(each, key) for each in value]
        return items if any(isinstance(each, Mapping) for each in value) else _Row(items)
    return value
