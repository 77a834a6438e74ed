"""The model under audit: loaded once, and copied for every step, so that no step can spoil another.

Every step's answers are compared with the eager model in eval mode, one row at a time: in fp32, or in fp64 if the model
is declared so.
"""

import copy
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import torch
from torch import nn

from configs.schema import ModelConfig
from models.compile.identity import identity
from models.errors import ModelError, first_line
from models.parity import Tolerance, deviation
from models.runtime.layout import Layout
from models.runtime.output_paths import Reading
from models.runtime.padding import powers_of_two
from models.runtime.staging import to_device
from models.signature import Array, Sizes, Tensor, signature_of
from models.sources import source
from models.sources.hooks import hooks_of
from models.startup.eager_checks import first_that_runs
from models.startup.eager_reference import Reference
from models.startup.input_binding import bind
from models.startup.precision import Arithmetic, plain
from models.startup.prepare import freeze_in_eval, layout_of, pick_device, set_arithmetic
from models.startup.sample_inputs import SampleInputs, draw_of
from models.user_code import call

from ..measure.hardware import device_here

COMPARED_ROWS = 3
_SEED = 100
# If the config does not batch, batches up to this size show what batching would gain.
_BATCH_ANYWAY = 32


@dataclass(frozen=True, slots=True)
class Subject:
    """A loaded model on its device. `plain` is the module that takes the inputs in their order, on the CPU.

    `asked` is the config as written, `config` the same in a precision to compute in. `loaded` is the module as it was
    loaded, `identity` its digest. `minutes`: compiling may take so long.
    """

    asked: ModelConfig
    config: ModelConfig
    device: torch.device
    samples: SampleInputs
    outputs: tuple[Tensor, ...]
    plain: nn.Module
    reference: Reference
    reading: Reading
    own: Arithmetic
    loaded: nn.Module
    identity: str | None
    minutes: bool = False
    _expected: dict[int, list[torch.Tensor]] = field(default_factory=dict)

    @property
    def fixed(self) -> bool:
        return self.config.fixed_shapes

    @property
    def open_sizes(self) -> Sizes:
        """The sizes of the open dimensions used throughout."""
        return self.config.middle_sizes

    @property
    def sizes(self) -> tuple[int, ...]:
        """The batch sizes to try: those configured, or without batching those up to _BATCH_ANYWAY."""
        configured = self.config.batch_sizes or powers_of_two(self.config.max_batch_size)
        return configured if configured[-1] > 1 else powers_of_two(_BATCH_ANYWAY)

    def ready(self, config: ModelConfig) -> tuple[ModelConfig, Layout]:
        """Return a config of this model, in the precision that it would run in, with its layout."""
        as_declared, widened = False, self.own.widened
        if config.precision in ("fp32", self.config.precision):
            precision, as_declared = self.own.config.precision, self.own.as_declared
            config = config.model_copy(update={"precision": precision})
        elif self.own.why:
            raise ModelError(f"not in {config.precision}: the model runs {self.own.why}\nhelp: leave precision out")
        return config, layout_of(config, self.device, as_declared, widened)

    def as_loaded(self) -> nn.Module:
        """Return a copy for a start, which binds the inputs itself."""
        return _copy(self.loaded)

    def reads(self) -> nn.Module:
        """Return a copy that returns the outputs alone."""
        return self.reading.wrapped(_copy(self.plain), self.samples.model_inputs)

    def arrays(self, rows: int, sizes: Sizes | None = None) -> list[Array]:
        drawn = self.samples.shaped((rows, sizes or self.open_sizes), _SEED + rows)
        return [drawn[tensor.name] for tensor in self.samples.model_inputs]

    def compared(self, found: Sequence[torch.Tensor], rows: int, allowed: Tolerance) -> tuple[float, bool]:
        """Return the largest deviation from eager, which answers each row alone, and whether it is allowed.

        Rows that belong together it answers together.
        """
        worst, within = 0.0, True
        for left, right in zip(found, self.expected(rows), strict=True):
            by = deviation(left[: right.shape[0]], right)
            assert by is not None  # `expected` has refused an output without a finite number.
            worst = max(worst, by)
            within &= by <= (allowed.relative if right.is_floating_point() else allowed.disagree)
        return worst, within

    def expected(self, rows: int) -> list[torch.Tensor]:
        """Return what eager answers, as `compared` says; raise ModelError if an output has no finite number."""
        if rows not in self._expected:
            self._expected[rows] = self._alone(rows)
        for tensor, answer in zip(self.outputs, self._expected[rows], strict=True):
            if answer.is_floating_point() and answer.numel() and not bool(answer.isfinite().any()):
                raise ModelError(
                    f"output {tensor.name!r}: eager answers no finite number, so nothing can be compared with it\n"
                    "help: correct the weights, or the range of the inputs in the config (low, high)"
                )
        return self._expected[rows]

    def _alone(self, rows: int) -> list[torch.Tensor]:
        drawn = self.samples.shaped((rows, self.open_sizes), _SEED + rows)
        with arithmetic(self.config, fixed=False):
            if self.config.whole:
                return self.reference(drawn)
            answers = [
                self.reference({name: array[row : row + 1] for name, array in drawn.items()})
                for row in range(min(rows, COMPARED_ROWS))
            ]
        return [torch.cat(parts) for parts in zip(*answers, strict=True)]


@dataclass(frozen=True, slots=True)
class Loaded:
    """A model in memory, not run yet. `outputs` are those that the network itself declares, none with a postprocess."""

    asked: ModelConfig
    config: ModelConfig
    device: torch.device
    samples: SampleInputs
    outputs: tuple[Tensor, ...]
    module: nn.Module
    identity: str | None


def load(config: ModelConfig, device: str | None = None) -> Loaded:
    """Load the model for the device of its config, or for another; raise ModelError if it cannot be loaded."""
    asked, config, place = config, plain(config), pick_device(device or device_here(config.device))
    try:
        hooks = hooks_of(config)
        outputs = signature_of(config).outputs if hooks.postprocess is None else ()
        module = source.load_for(config)
        return Loaded(asked, config, place, draw_of(config, hooks), outputs, module, identity(module, config.source))
    except ModelError:
        raise
    except Exception as error:  # Code of the user's own: whatever it raises, the model cannot be audited.
        raise ModelError(
            f"the model cannot be loaded ({first_line(error)})\nhelp: correct what args.source names"
        ) from error


def subject_of(loaded: Loaded, minutes: bool = False) -> Subject:
    """Return the subject of an audit; raise ModelError if a start would refuse how the model runs eagerly."""
    config, outputs = loaded.config, loaded.outputs
    bound, samples = bind(loaded.module, loaded.samples)
    eager = first_that_runs(freeze_in_eval(_copy(bound.module)), config, loaded.device, samples, outputs)
    how = eager.reference, eager.reading, eager.arithmetic
    own = loaded.asked, config, loaded.device, samples, eager.reference.outputs, bound.module
    return Subject(*own, *how, loaded.module, loaded.identity, minutes)


def _copy(module: nn.Module) -> nn.Module:
    # While gradients are recorded, the copy of a ScriptModule's parameter is the outcome of an operation, and no leaf.
    with torch.no_grad():
        return call(copy.deepcopy, module)


def stage(arrays: Sequence[Array], layout: Layout) -> list[torch.Tensor]:
    return [to_device(torch.from_numpy(array), layout) for array in arrays]


@contextmanager
def arithmetic(config: ModelConfig, fixed: bool, threads: int | None = None) -> Iterator[None]:
    """Set torch's arithmetic and threads as a replica does; restore them afterwards."""
    cuda, cudnn = torch.backends.cuda.matmul, torch.backends.cudnn
    before = (cuda.allow_tf32, cudnn.allow_tf32, cudnn.enabled, cudnn.benchmark, torch.get_num_threads())
    try:
        set_arithmetic(config, fixed)
        torch.set_num_threads(threads or config.threads)
        yield
    finally:
        cuda.allow_tf32, cudnn.allow_tf32, cudnn.enabled, cudnn.benchmark = before[:4]
        torch.set_num_threads(before[4])
