"""One request of a model for a check of a plan: probe rows of the padded size that was planned for."""

from configs.schema import ModelConfig
from models.signature import Array, signature_of
from models.sources.hooks import hooks_of
from models.startup import examples, random_inputs
from models.startup.sample_inputs import SampleInputs

from ..load.tensor import Tensor

_TRIES = 200


def request_of(config: ModelConfig, rows: int, length: int) -> list[Tensor]:
    """Return every input. `length` is the padded size of an open dimension; 0 where there is none."""
    arrays = _arrays(config, rows, length)
    return [Tensor(tensor.name, tensor.datatype, arrays[tensor.name]) for tensor in signature_of(config).inputs]


def _arrays(config: ModelConfig, rows: int, length: int) -> dict[str, Array]:
    """Draw rows that are padded to `length`, and to no less: texts hold more or fewer tokens than words.

    Examples are as long as they are.
    """
    tensors = signature_of(config).inputs
    if (given := examples.of_config(config)) is not None:
        return given.draw(rows, seed=9)
    drawn = random_inputs.sample(tensors, rows, seed=9, length=length or 16)
    if not config.may_preprocess or not length:
        return drawn
    shorter = max((each for each in config.lengths or () if each < length), default=0)
    samples = SampleInputs(signature_of(config), hooks_of(config).preprocess, config.lengths or ())
    if samples.preprocess is None:
        return drawn
    for seed in range(_TRIES):
        drawn = random_inputs.sample(tensors, rows, seed, max(2, length - seed * length // _TRIES))
        wide = max(array.shape[1] for array in samples.preprocessed(drawn, rows).values() if array.ndim > 1)
        if shorter < wide <= length:
            break
    return drawn
