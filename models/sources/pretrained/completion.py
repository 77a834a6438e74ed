"""What a task and a directory's JSON say of a model: inputs, outputs, and the sizes to warm. No weights are read."""

from collections.abc import Callable, Mapping
from typing import Any

from configs.schema import ModelConfig, Task

from ...errors import ModelError
from ...signature import listed
from .directory import Directory, find
from .library import configuration
from .pooling import sentences_of

# Longer texts take lengths that somebody has written: attention over 8192 tokens is not to be warmed by default.
_TOKENS = 512
_SECONDS = (1, 2, 4, 8, 16, 30)
# The longest side of DETR's pictures.
_SIDE = 1333
# What a tokenizer without a bound of its own writes is some power of ten.
_UNBOUNDED = 1_000_000
# These number positions from the padding's id on.
_OFFSET = ("roberta", "xlm-roberta", "xlm-roberta-xl", "camembert", "roberta-prelayernorm", "data2vec-text", "xmod")
# A picture of a detector and a recording are much work each: a large batch would be slow to warm and no faster.
_HEAVY = ("automatic-speech-recognition", "object-detection")
_HEAVY_BATCH = 4
INPUTS: dict[Task, str] = {
    "text-classification": "text",
    "token-classification": "text",
    "sentence-embedding": "text",
    "image-classification": "image",
    "object-detection": "image",
    "automatic-speech-recognition": "audio",
}


def completed(config: ModelConfig) -> ModelConfig:
    """Return a config of a pretrained model with inputs, outputs and lengths.

    Raises:
        ModelError: the directory cannot be found or read, is not for this task, or contradicts what is written.
    """
    directory, task = find(config.source), config.source.task
    assert task is not None
    network = network_of(directory, task)
    found = configuration(network, task)
    written: dict[str, Any] = config.model_dump(exclude_unset=True, warnings=False)
    update: dict[str, Any] = {
        "inputs": [{"name": INPUTS[task], "datatype": "BYTES", "shape": [-1]}],
        "outputs": [_output(*each) for each in _OUTPUTS[task](found)],
        "lengths": _lengths(config, task, directory, found),
    }
    defaults: dict[str, Any] = {}
    if task in _HEAVY and config.batch_sizes is None:
        defaults["max_batch_size"] = 1 if rows_alone(task, directory, found) else _HEAVY_BATCH
    whole = ModelConfig.model_validate(defaults | written | update)
    for kind in ("inputs", "outputs"):
        given, own = getattr(config, kind), getattr(whole, kind)
        if given and given != own:
            raise ModelError(
                f"{kind}: the config has {listed(given)}, and {task} of {directory.location} has {listed(own)}\n"
                f"help: leave {kind} out"
            )
    return whole


def network_of(directory: Directory, task: Task) -> Directory:
    """Return where the network itself is: sentence-transformers may have it in a folder of the directory."""
    return sentences_of(directory).network if task == "sentence-embedding" else directory


def rows_alone(task: Task, directory: Directory, found: Any) -> bool:
    """Whether each row must run by itself: the network would read what pads it to the size of another."""
    if task == "automatic-speech-recognition":
        # Convolutions that are normalised over time, padding and all.
        return getattr(found, "feat_extract_norm", "group") != "layer"
    return task == "object-detection" and square(directory) is not None


def square(directory: Directory) -> int | None:
    """Return the side of the square that holds every picture which keeps its ratio; None where all have one size."""
    settings = directory.json("preprocessor_config.json")
    size = settings.get("size")
    sizes: Mapping[str, Any] = size if isinstance(size, Mapping) else {}
    if settings.get("pad_size") or {"height", "width"} <= sizes.keys():
        return None
    return int(sizes.get("longest_edge") or sizes.get("max_height") or _SIDE)


def sampling_rate(directory: Directory) -> int:
    """Return the samples a second that an audio model takes."""
    return int(directory.json("preprocessor_config.json").get("sampling_rate", 16_000))


def longest_row(config: ModelConfig) -> int:
    """Return the most tokens or samples of a row; 0 where no size is open."""
    return max((each.sizes[-1] for each in config.open_dims.values()), default=0)


def _lengths(config: ModelConfig, task: Task, directory: Directory, found: Any) -> tuple[int, ...] | list[int] | None:
    """Return the sizes of the one open dimension; those that are written, where some are."""
    key = "dims" if config.dims else "lengths"
    if INPUTS[task] == "image" and config.open_dims:
        raise ModelError(f"{key}: {task} has no open sizes\nhelp: leave {key} out")
    if INPUTS[task] == "image" or config.open_dims:
        _check_longest(key, longest_row(config), _most_tokens(directory, task, found), directory)
        return config.lengths
    if INPUTS[task] == "audio":
        return [sampling_rate(directory) * seconds for seconds in _SECONDS]
    longest = min(_TOKENS, _most_tokens(directory, task, found) or _TOKENS)
    return [*(1 << power for power in range(3, 9) if 1 << power < longest), longest]


def _check_longest(key: str, longest: int, most: int | None, directory: Directory) -> None:
    if most is not None and longest > most:
        raise ModelError(
            f"{key}: ends with {longest}, and {directory.location} takes at most {most} tokens\n"
            f"help: end with {most} or less"
        )


def _most_tokens(directory: Directory, task: Task, found: Any) -> int | None:
    """Return the most tokens that tokenizer and network take; None where neither has a bound, or no text comes in."""
    if INPUTS[task] != "text":
        return None
    positions = getattr(found, "max_position_embeddings", None)
    if found.model_type in _OFFSET and isinstance(positions, int):
        positions -= (found.pad_token_id or 0) + 1
    said = [network_of(directory, task).json("tokenizer_config.json").get("model_max_length"), positions]
    if task == "sentence-embedding":
        said.append(sentences_of(directory).longest)
    bounds = [int(each) for each in said if isinstance(each, int | float) and 0 < each < _UNBOUNDED]
    return min(bounds, default=None)


def _output(name: str, datatype: str, *sizes: int) -> dict[str, Any]:
    return {"name": name, "datatype": datatype, "shape": [-1, *sizes]}


def _classes(found: Any) -> list[tuple[Any, ...]]:
    return [("label", "BYTES"), ("score", "FP32"), ("scores", "FP32", len(found.id2label))]


def _vector(found: Any) -> list[tuple[Any, ...]]:
    if getattr(found, "is_encoder_decoder", False):
        raise ModelError(
            f"source: a {found.model_type} has a decoder, and an encoder alone makes a sentence-embedding\n"
            "help: name a factory of yours that loads its encoder"
        )
    return [("embedding", "FP32", int(found.hidden_size))]


_OUTPUTS: dict[Task, Callable[[Any], list[tuple[Any, ...]]]] = {
    "text-classification": _classes,
    "token-classification": lambda _: [("entities", "BYTES")],
    "sentence-embedding": _vector,
    "image-classification": _classes,
    "object-detection": lambda _: [("detections", "BYTES")],
    "automatic-speech-recognition": lambda _: [("text", "BYTES")],
}
