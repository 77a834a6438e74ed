"""Which ways to run a forward a start compares, and what came of each. No torch here.

`backend: auto` stands for every backend that takes the source and runs on the device, `precision: auto` for every
precision of it that `accept` may let through.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from configs import precisions
from configs.backends import AUTO, Backend, backend_of, titled, tried_on
from configs.schema import ModelConfig

from ..compile.machine import has_bf16

if TYPE_CHECKING:
    from .precision import Arithmetic

Outcome = Literal["chosen", "not_faster", "refused", "not_built"]


@dataclass(frozen=True, slots=True)
class Candidate:
    """A way to run the forward: a backend and a precision."""

    backend: str
    precision: str

    def __str__(self) -> str:
        return titled(self.backend, self.precision)


@dataclass(frozen=True, slots=True)
class Tried:
    """A candidate and what came of it: its forward in ms by shape, rows a second at the best of these, and why it lost.

    `times`: `forward_ms` over the chosen one's, the geometric mean over the shapes that both ran.
    """

    backend: str
    precision: str
    outcome: Outcome
    reason: str = ""
    rows_s: float | None = None
    forward_ms: dict[str, float] = field(default_factory=dict)
    times: float | None = None

    @property
    def line(self) -> str:
        rate = "" if self.rows_s is None else f", {self.rows_s:,.1f} rows/s"
        reason = f": {self.reason}" if self.reason else ""
        return f"{titled(self.backend, self.precision)}{rate}: {self.outcome.replace('_', ' ')}{reason}"

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Field:
    """The candidates of a start. `otherwise` are tried where none of `asked` can run, as before a `pitstop build`."""

    asked: tuple[Candidate, ...]
    otherwise: tuple[Candidate, ...] = ()

    def __len__(self) -> int:
        return len(self.asked) + len(self.otherwise)


def field_of(config: ModelConfig, device: str, arithmetic: "Arithmetic", minutes: bool = False) -> Field:
    """Return what a start, or a build with its minutes, compares.

    `config` is as written, with `precision: auto`; its network runs in `arithmetic` as it is.
    """
    own = arithmetic.config.precision
    free = config.precision == precisions.AUTO and config.accept is not None and not arithmetic.why
    # Only what compiles for minutes makes int8 faster [measured], and only a build compiles it.
    others = [each.name for each in precisions.tried_on(device, quantized=minutes) if each.takes(config.source)]
    if device == "cpu" and not minutes and not has_bf16():
        # Emulated it is slower, and trying it takes seconds; a build tries it all the same.
        others = [each for each in others if each != "bf16"]
    # Its own comes first: of two equally fast, a start takes the first.
    chosen = [own, *(each for each in others if each != own)] if free else [own]
    listed = [each for each in tried_on(device) if each.takes(config.source) and each.in_auto]
    if config.backend == AUTO:
        return Field(_product(chosen, listed))
    backend = backend_of(config.backend)
    # What compiles for minutes is there only once it was built.
    quick = [each for each in listed if not each.slow] if backend.built else []
    return Field(_product(chosen, [backend]), _product(chosen, quick))


def _product(each_precision: Sequence[str], backends: Sequence[Backend]) -> tuple[Candidate, ...]:
    return tuple(
        Candidate(backend.name, precision)
        for precision in each_precision
        for backend in backends
        if backend.slow or len(backends) == 1 or not precisions.quantizes(precision)
    )
