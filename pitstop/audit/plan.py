"""Which steps a waterfall has, from plain inference to every setting that this device may take. Pure."""

from configs import precisions as known_precisions
from configs.backends import EAGER, TORCHSCRIPT, tried_on

from .step import ForwardSetting, Kind, StepSpec

_MOST_BATCHES = 7


def single_rows(here: ForwardSetting, images: bool, gpu: bool, fixed: bool) -> list[StepSpec]:
    """Return the steps of one row, each building on those before.

    Args:
        here: the setting of the config.
        images: whether an input has four dimensions, so that its memory format matters.
        gpu: whether cuDNN runs it.
        fixed: whether rows always have one shape, so that cuDNN's search pays.
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
    return specs + [_spec(each, here) for each in _settings(here, images, gpu) if each not in known]


def thin(sizes: list[int]) -> list[int]:
    """Return at most seven sizes, evenly chosen, the last among them."""
    if len(sizes) <= _MOST_BATCHES:
        return sizes
    step = (len(sizes) - 1) / (_MOST_BATCHES - 1)
    return [sizes[round(index * step)] for index in range(_MOST_BATCHES)]


def _settings(here: ForwardSetting, images: bool, gpu: bool) -> list[ForwardSetting]:
    """The default backend first, as in every waterfall; then the config's own; then the others."""
    precisions = [each.name for each in reversed(known_precisions.tried_on("cuda" if gpu else "cpu"))]
    found = [ForwardSetting(TORCHSCRIPT, "fp32", here.memory_format), here]
    if images:
        other = "contiguous" if here.memory_format == "channels_last" else "channels_last"
        found.append(ForwardSetting(here.backend, here.precision, other))
    listed = [each.name for each in tried_on("cuda" if gpu else "cpu")]
    # Eager in fp32 is the first step.
    backends = [each for each in listed if each != EAGER or here.precision != "fp32"]
    found += [ForwardSetting(backend, each, here.memory_format) for backend in backends for each in precisions]
    return list(dict.fromkeys(found))


def _spec(setting: ForwardSetting, here: ForwardSetting) -> StepSpec:
    on_path = setting == here or (setting.backend == here.backend == TORCHSCRIPT and setting.precision == "fp32")
    kind: Kind = "path" if on_path and setting.memory_format == here.memory_format else "option"
    return StepSpec(setting.key, setting.label(here.memory_format), kind, 1, setting)
