"""What the default backend would serve, where the config has forgone it: as its start leaves it, in batches too."""

from collections.abc import Iterator

from models.errors import ModelError

from .built import Built, build
from .pace import Pace
from .run import Arm, attempt
from .started import started
from .step import DEFAULT_BATCH, DEFAULT_ONE, Head, Setting, Step, forgone, setting_of
from .subject import Subject


def default(subject: Subject, how: str, pace: Pace) -> Iterator[Step]:
    """Yield one row, and the best batch size; nothing where the config has what is the default."""
    lines = forgone(subject.config, how)
    if not lines:
        return
    here = setting_of(subject.config)
    setting = Setting("torchscript", here.precision, here.memory_format)
    made: list[Built] = []

    def arm() -> Arm:
        if not made:
            made.append(_opened(subject, setting, lines))
        return Arm(made[0])

    one = Head(DEFAULT_ONE, "the default backend", "option", 1, setting)
    yield attempt(one, arm, subject, pace)
    # Known beforehand where the process ended in this step.
    if DEFAULT_BATCH in pace.known:
        yield pace.known[DEFAULT_BATCH]
    elif made and made[0].fastest_rows > 1:
        rows = made[0].fastest_rows
        yield attempt(
            Head(DEFAULT_BATCH, f"the default backend, batches of {rows}", "option", rows, setting), arm, subject, pace
        )


def _opened(subject: Subject, setting: Setting, lines: dict[str, str]) -> Built:
    built = build(subject, setting, lines)
    if built.how == "eager":
        raise ModelError(f"no TorchScript: {built.note}")
    return started(subject, built)
