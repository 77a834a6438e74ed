"""One request of a model for a check of a plan: probe rows of the padded size that was planned for."""

from configs.schema import ModelConfig
from models.signature import Array, Sizes, signature_of
from models.sources.hooks import hooks_of
from models.startup import examples, random_inputs
from models.startup.sample_inputs import draw_of

from ..load.tensor import Tensor

_TRIES = 200


def request_of(config: ModelConfig, rows: int, sizes: Sizes) -> list[Tensor]:
    """Return every input; `sizes` are the padded ones of the open dimensions."""
    arrays = _arrays(config, rows, sizes)
    return [Tensor(tensor.name, tensor.datatype, arrays[tensor.name]) for tensor in signature_of(config).inputs]


def _arrays(config: ModelConfig, rows: int, sizes: Sizes) -> dict[str, Array]:
    """Draw rows that are padded to these sizes, and to no less: texts hold more or fewer tokens than words.

    Examples are as long as they are.
    """
    if (given := examples.of_config(config)) is not None:
        return given.draw(rows, seed=9)
    samples = draw_of(config, hooks_of(config))
    if samples.preprocess is None or not sizes:
        return random_inputs.sample(samples.inputs, rows, 9, sizes=dict(zip(config.open_dims, sizes, strict=True)))
    for seed in range(_TRIES):
        words = max(2, sizes[0] - seed * sizes[0] // _TRIES)
        drawn = random_inputs.sample(samples.inputs, rows, seed, words)
        if samples.open_sizes.batch([samples.preprocessed(drawn, rows)]) == sizes:
            break
    return drawn
