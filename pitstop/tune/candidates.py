"""What to try: every combination that the device and the model allow, the most promising first. Pure; no torch.

`max_batch_size` is tried by the way: a trial times every warmed batch size up to its limit.
"""

from dataclasses import astuple, dataclass
from itertools import product
from typing import Any

from configs import precisions as known_precisions
from configs.backends import AUTO, tried_on
from configs.schema import ModelConfig
from models.runtime.padding import powers_of_two

# A first look times a batch of one, a middle one and a full one.
_FIRST_LOOK = 3


@dataclass(frozen=True, slots=True)
class Candidate:
    """One setting to try."""

    backend: str
    precision: str
    memory_format: str
    threads: int
    max_batch_size: int

    @property
    def label(self) -> str:
        return f"{self.backend} {self.precision} {self.memory_format} x{self.threads}"

    def args(self, config: ModelConfig, device: str, thorough: bool) -> dict[str, Any]:
        """Return a model's args with this setting; only a thorough trial warms every shape."""
        sizes = _sizes(config, self.max_batch_size)
        chosen = sizes if thorough else _few(sizes)
        own = {
            "backend": self.backend,
            "precision": self.precision,
            "memory_format": self.memory_format,
            "max_batch_size": self.max_batch_size,
            "batch_sizes": list(chosen),
            "device": device,
            # What a trial compiles is for this machine alone.
            "store": None,
        }
        if device == "cpu":
            own["num_cpus"] = self.threads
        whole = config.model_dump(mode="json") | own
        if config.open_dims and not thorough:
            middle = dict(zip(config.open_dims, config.middle_sizes, strict=True))
            if config.lengths:
                whole["lengths"] = list(config.middle_sizes)
            whole["dims"] = {name: {**each, "sizes": [middle[name]]} for name, each in whole["dims"].items()}
        return whole


def now(config: ModelConfig, device: str) -> Candidate:
    """Return the setting that the config has."""
    threads = config.threads if device == "cpu" else 1
    return Candidate(config.backend, config.precision, config.memory_format, threads, config.max_batch_size)


def alike(one: Candidate, other: Candidate) -> int:
    """Return in how many respects two settings are the same."""
    return sum(left == right for left, right in zip(astuple(one), astuple(other), strict=True))


def candidates(
    config: ModelConfig, device: str, cores: int, images: bool, quick: bool, quantized: bool = False
) -> list[Candidate]:
    """Return what to try, the present setting first.

    Args:
        config: the model.
        device: `cuda` or `cpu`.
        cores: how many a CPU replica may take.
        images: whether an input has four dimensions, so that a memory format makes a difference.
        quick: leave out the backends that compile for minutes.
        quantized: whether int8 can be made, which is tried last.
    """
    listed = [each for each in tried_on(device) if each.takes(config.source) and not (quick and each.slow)]
    precisions = [each for each in known_precisions.tried_on(device, quantized) if each.takes(config.source)]
    # What is auto the start chooses, by what the config accepts.
    if config.precision in ("fp64", AUTO) or any(each.datatype == "FP64" for each in (*config.inputs, *config.outputs)):
        precisions = [known_precisions.Precision(config.precision)]
    # What a start compares, in the config's precision; then each alone.
    pairs: list[tuple[str, str]] = [(AUTO, config.precision)]
    pairs += [(backend.name, each.name) for backend in listed for each in precisions if not each.quantizes]
    pairs += [(each.name, int8.name) for int8 in precisions for each in listed if int8.quantizes and each.quantized]
    formats = ("channels_last", "contiguous") if images else (config.memory_format,)
    present = now(config, device)
    found = [
        Candidate(backend, precision, memory_format, threads, config.max_batch_size)
        for threads, (backend, precision), memory_format in product(
            thread_counts(cores) if device == "cpu" else [1], pairs, formats
        )
    ]
    return [present, *(each for each in found if each != present)]


def thread_counts(cores: int) -> list[int]:
    """Return 1, 2, 4, … and all cores."""
    return list(powers_of_two(max(1, cores)))


def _sizes(config: ModelConfig, limit: int) -> tuple[int, ...]:
    own = config.batch_sizes
    return own if own and own[-1] == limit else powers_of_two(limit)


def _few(sizes: tuple[int, ...]) -> tuple[int, ...]:
    if len(sizes) <= _FIRST_LOOK:
        return sizes
    return (sizes[0], sizes[len(sizes) // 2], sizes[-1])
