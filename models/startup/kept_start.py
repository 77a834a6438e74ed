"""What an earlier start, or a build, of the same model found on the same kind of machine: which candidate serves, and
what its checks showed.

The key covers all that decides it: network, config, sample rows, the code of the hooks, pitstop's own, and the machine.
So a start that finds one opens that candidate alone, and compares only a few of its answers with eager's.
"""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from configs.backends import is_own
from configs.schema import ModelConfig, OutputConfig

from ..compile import store
from ..compile.identity import files_of
from ..compile.machine import cpu_name, machine
from ..signature import Shape
from ..sources.files import digest, fetch
from ..sources.resolve import resolve
from .attempts import LEFT_OUT
from .candidates import Candidate, Tried
from .check_results import CheckResult, as_json, from_json
from .row_checks import PROBE_ROWS
from .sample_inputs import SampleInputs

# A build has compared more candidates than a start can, so what it found comes first.
_BUILDS, _STARTS = "builds", "starts"
_MAKERS = {_BUILDS: "pitstop build", _STARTS: "an earlier start on this node"}
# Keys of a config that change nothing of the forward or its checks, or say where something is that has its own digest.
_ASIDE = {
    "name",
    "version",
    "auth",
    "predict",
    "num_cpus",
    "num_gpus",
    "accelerator_type",
    "ingress_replicas",
    "store",
    "source",
    "example",
}


@dataclass(frozen=True, slots=True)
class KeptStart:
    """The outcome of a start, or of a build: `maker` says which.

    `packed_from`: the rows from which convolutions are packed, None if they never are.
    """

    candidate: Candidate
    packed_from: int | None
    outputs: tuple[OutputConfig, ...]
    checks: tuple[CheckResult, ...]
    forward_ms: dict[Shape, float]
    table: tuple[Tried, ...]
    maker: str = ""

    def as_json(self) -> dict[str, Any]:
        return {
            "candidate": [self.candidate.backend, self.candidate.precision],
            "packed_from": self.packed_from,
            "outputs": [each.model_dump(mode="json") for each in self.outputs],
            "checks": [as_json(each) for each in self.checks],
            "forward_ms": [[rows, list(sizes), ms] for (rows, sizes), ms in self.forward_ms.items()],
            "table": [each.as_json() for each in self.table],
        }


def key_of(config: ModelConfig, identity: str | None, device: torch.device, samples: SampleInputs) -> store.Key | None:
    """Return the key of a start; None where the network has no identity."""
    if identity is None:
        return None
    where = {**machine(device), "cpu": cpu_name()}
    written = config.model_dump(mode="json", exclude=_ASIDE)
    return store.key_from(identity, config, where, "start", written, *_code(config), *_rows(samples))


def read(key: store.Key | None) -> KeptStart | None:
    """Return what is kept under a key; None if nothing is, or it is of another form."""
    for kind, maker in _MAKERS.items():
        # Only builds write to the store.
        found = store.read_json(kind, key, here=kind == _STARTS)
        if found is not None:
            try:
                return _from_json(found, maker)
            except (KeyError, TypeError, ValueError):
                continue
    return None


def write(key: store.Key | None, found: KeptStart, built: bool) -> None:
    """Keep the outcome of a start, or of a build, which goes to the store too.

    Not of a start that left a candidate out: another may have ended it, and it is tried again after a day.
    """
    if not built and any(LEFT_OUT in each.reason for each in found.table):
        return
    store.write_json(_BUILDS if built else _STARTS, key, found.as_json(), publish=built)


def correct(key: store.Key | None, found: KeptStart) -> None:
    """Keep a record that was read, with better times, on this node: a later start is to find it in place of that one.

    What a build found stays a build's, and newer than the store's, to which no start writes.
    """
    kinds = {maker: kind for kind, maker in _MAKERS.items()}
    store.write_json(kinds[found.maker], key, found.as_json())


def _from_json(found: Mapping[str, Any], maker: str) -> KeptStart:
    return KeptStart(
        Candidate(*found["candidate"]),
        found["packed_from"],
        tuple(OutputConfig.model_validate(each) for each in found["outputs"]),
        tuple(map(from_json, found["checks"])),
        {(rows, tuple(sizes)): ms for rows, sizes, ms in found["forward_ms"]},
        tuple(Tried(**each) for each in found["table"]),
        maker,
    )


def _code(config: ModelConfig) -> Iterator[str]:
    """Yield digests of the code and the files that the checks use beside the network."""
    own = config.backend if is_own(config.backend) else None
    for path in (own, config.preprocess, config.postprocess, config.handler):
        if path is not None:
            yield from sorted(digest(Path(file)) for file in files_of(resolve(path)))
    if config.accept is not None and config.accept.accuracy is not None:
        yield digest(fetch(config.accept.accuracy.data))


def _rows(samples: SampleInputs) -> Iterator[str]:
    """Yield what stands for the rows that the checks are made with: the examples' numbers are not in the config."""
    for rows in (samples(PROBE_ROWS, seed=1), *([samples.examples.rows] if samples.examples else [])):
        yield repr(_plain(rows))


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return [(name, _plain(value[name])) for name in sorted(value)]
    if isinstance(value, np.ndarray):
        data = repr(value.tolist()).encode() if value.dtype == object else np.ascontiguousarray(value).tobytes()
        return [str(value.dtype), value.shape, hashlib.sha256(data).hexdigest()]
    return [_plain(each) for each in value] if isinstance(value, Sequence) else repr(value)
