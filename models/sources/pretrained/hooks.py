"""The preprocess and the postprocess of a task, made of what the directory has beside its network."""

from collections.abc import Callable

from configs.schema import ModelConfig, Task

from ..hooks import Hook, Hooks
from .audio import speech_hooks
from .directory import Directory, find
from .images import detection_hooks, picture_hooks
from .texts import classification_hooks, embedding_hooks, token_hooks

Make = Callable[[Directory, ModelConfig], tuple[Hook, Hook | None]]
_MAKE: dict[Task, Make] = {
    "text-classification": classification_hooks,
    "token-classification": token_hooks,
    "sentence-embedding": embedding_hooks,
    "image-classification": picture_hooks,
    "object-detection": detection_hooks,
    "automatic-speech-recognition": speech_hooks,
}


def hooks_of(config: ModelConfig) -> Hooks:
    """Return the hooks of a completed config; raise ModelError where the directory lacks what they are made of."""
    assert config.source.task is not None
    return Hooks(*_MAKE[config.source.task](find(config.source), config))
