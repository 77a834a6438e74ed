"""Which steps a waterfall has, from plain inference to every setting that this device may take. Pure."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from configs import precisions as known_precisions
from configs.backends import EAGER, TORCHSCRIPT, tried_on
from configs.precisions import FP32

from .step import ForwardSetting, Kind, StepSpec

if TYPE_CHECKING:
    from configs.schema import SourceConfig

_MOST_BATCHES = 7


@dataclass(frozen=True, slots=True)
class Takes:
    """What can be tried: of which source, whether int8 is something to try for it, and whether there is a compiler."""

    source: "SourceConfig | None" = None
    quantized: bool = False
    compiler: bool = True


_ANYTHING = Takes()


def single_rows(here: ForwardSetting, images: bool, gpu: bool, fixed: bool, takes: Takes = _ANYTHING) -> list[StepSpec]:
    """Return the steps of one row, each building on those before.

    Args:
        here: the setting of the config.
        images: whether an input has four dimensions, so that its memory format matters.
        gpu: whether cuDNN runs it.
        fixed: whether rows always have one shape, so that cuDNN's search pays.
        takes: what the model and the machine can do.
    """
    plain = "contiguous" if images else here.memory_format
    specs = [StepSpec("inference_mode", "inference_mode", "path", 1, ForwardSetting(EAGER, "fp32", plain))]
    if images:
        kind: Kind = "path" if here.memory_format == "channels_last" else "option"
        specs.append(
            StepSpec("channels_last", "channels_last", kind, 1, ForwardSetting(EAGER, "fp32", "channels_last"))
        )
    if gpu and fixed:
        specs.append(
            StepSpec("search", "cuDNN search, one shape", "path", 1, ForwardSetting(EAGER, "fp32", here.memory_format))
        )
    known = {spec.setting for spec in specs}
    return specs + [_spec(each, here) for each in _settings(here, images, gpu, takes) if each not in known]


def thin(sizes: list[int]) -> list[int]:
    """Return at most seven sizes, evenly chosen, the last among them."""
    if len(sizes) <= _MOST_BATCHES:
        return sizes
    step = (len(sizes) - 1) / (_MOST_BATCHES - 1)
    return [sizes[round(index * step)] for index in range(_MOST_BATCHES)]


def _settings(here: ForwardSetting, images: bool, gpu: bool, takes: Takes) -> list[ForwardSetting]:
    """TorchScript first, as in every waterfall; then the config's own; then the others."""
    device, source = "cuda" if gpu else "cpu", takes.source
    tried = reversed(known_precisions.tried_on(device, quantized=takes.quantized))
    precisions = [each for each in tried if source is None or each.takes(source)]
    found = [ForwardSetting(TORCHSCRIPT, "fp32", here.memory_format), here]
    if images:
        other = "contiguous" if here.memory_format == "channels_last" else "channels_last"
        found.append(ForwardSetting(here.backend, here.precision, other))
    # Without a compiler one step of each backend that needs it says so.
    found += [
        ForwardSetting(backend.name, each.name, here.memory_format)
        for backend in tried_on(device)
        if source is None or backend.takes(source)
        for each in (precisions if takes.compiler or not backend.slow else precisions[:1])
        # Eager in fp32 is the first step; in 16 bits it only tells what compiling gains there.
        if (backend.quantized if each.quantizes else backend.name != EAGER or here.precision != FP32)
    ]
    return list(dict.fromkeys(found))


def _spec(setting: ForwardSetting, here: ForwardSetting) -> StepSpec:
    on_path = setting == here or (setting.backend == here.backend and setting.precision == "fp32")
    kind: Kind = "path" if on_path and setting.memory_format == here.memory_format else "option"
    return StepSpec(setting.key, setting.label(here.memory_format), kind, 1, setting)
