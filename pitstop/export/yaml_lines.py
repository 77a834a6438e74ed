"""The lines of an application's `args` that serve an artefact, to be pasted into a config."""

from collections.abc import Mapping
from typing import Any

import yaml

from configs.schema import TensorConfig

from .job import Job, Made


def args_of(job: Job, made: Made, location: str, sha256: str) -> dict[str, Any]:
    """Return source, signature and what belongs to them. A factory nobody named is left as a placeholder."""
    args: dict[str, Any] = {"source": source_of(job, made, location, sha256)}
    for key, tensors in (("inputs", job.inputs), ("outputs", made.outputs)):
        if job.inputs and tensors:
            args[key] = [tensor(each) for each in tensors]
    if job.lengths:
        args["lengths"] = list(job.lengths)
    if job.dims:
        args["dims"] = {name: each.model_dump(mode="json") for name, each in job.dims.items()}
    if job.model_inputs:
        args["model_inputs"] = [tensor(each) for each in job.model_inputs]
    if job.example:
        args["example"] = job.example if isinstance(job.example, str) else list(job.example)
    args |= {key: named for key in ("preprocess", "postprocess", "handler") if (named := getattr(job, key))}
    args |= {"batch": job.batch} if job.batch != "shared" else {}
    args |= {"random": True} if job.random else {}
    return args


def source_of(job: Job, made: Made, location: str, sha256: str) -> dict[str, Any]:
    if job.to == "torchscript":
        return {"torchscript": location, "sha256": sha256}
    if job.to == "pt2":
        return {"exported_program": location, "sha256": sha256}
    kwargs = dict(job.source.kwargs) if job.source is not None else {}
    found: dict[str, Any] = {"factory": made.factory or "path/to/file.py:callable"}
    return {**found, **({"kwargs": kwargs} if kwargs else {}), "weights": location, "sha256": sha256}


def tensor(config: TensorConfig) -> dict[str, Any]:
    return config.model_dump(mode="json", exclude_none=True)


def dump(args: Mapping[str, Any]) -> str:
    """Return YAML in the keys' own order, short lists on one line."""
    return str(yaml.dump(args, Dumper=_Dumper, sort_keys=False, width=120, allow_unicode=True))


class _Dumper(yaml.SafeDumper):
    """PyYAML's own, but for short lists."""


def _list(dumper: yaml.SafeDumper, data: list[Any]) -> yaml.Node:
    flow = not any(isinstance(each, Mapping) for each in data)
    return dumper.represent_sequence("tag:yaml.org,2002:seq", data, flow_style=flow)


_Dumper.add_representer(list, _list)
