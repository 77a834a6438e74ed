"""What does not change of a model while it is served, from its config and from what the start timed."""

from collections.abc import Mapping

from configs.schema import ModelConfig
from models.rates import best_rows
from models.resolve import resolve
from models.signature import Shape, signature_of

from .access.guard import Guard
from .http import quick
from .inference import ModelInfo
from .predict.predict import Predictor


def model_info(config: ModelConfig, guard: Guard | None, forward_ms: Mapping[Shape, float]) -> ModelInfo:
    """Return what a replica knows of its model; `forward_ms` has the forward's time by shape, where it was timed."""
    signature, image, answer = signature_of(config), config.predict.image, config.predict.answer
    return ModelInfo(
        name=config.name,
        version=config.version,
        signature=signature,
        predict=Predictor(signature, resolve(image) if image else None, resolve(answer) if answer else None),
        fast_reader=quick.reader(signature),
        max_rows=config.max_rows,
        best_rows=best_rows(forward_ms) or config.max_rows,
        guard=guard,
        longest=config.lengths[-1] if config.lengths else None,
    )
