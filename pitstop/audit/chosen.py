"""What a start chooses, where the config leaves it a choice: `auto`, or a backend that may not be built."""

from configs.backends import EAGER
from models.startup.candidates import field_of
from models.startup.open_model import OpenedModel, open_model

from .audit_result import Choice
from .step import ForwardSetting, setting_of
from .subject import Subject, arithmetic


def leaves_a_choice(subject: Subject) -> bool:
    return len(field_of(subject.asked, subject.device.type, subject.own)) > 1


def choose(subject: Subject) -> Choice:
    """Let a start choose, with what was built; where it refuses the config, return the first that it would take."""
    own = setting_of(subject.config)
    try:
        served = opened(subject, {})
    except Exception:  # Whatever it raises, no start chooses; the step of the start says it of this setting.
        first = field_of(subject.asked, subject.device.type, subject.own).asked[0]
        return Choice(ForwardSetting(first.backend, own.precision, own.memory_format))
    setting, refused = chosen_by(subject, served), served.checks.compilation.refused
    why = tuple(each for each in refused if setting.backend == EAGER and each.code != "not_built")
    return Choice(setting, tuple(each.line for each in served.candidates), why)


def opened(subject: Subject, lines: dict[str, str]) -> OpenedModel:
    """Open the model as a start of its config with these lines does, by what earlier starts or builds found.

    Raises:
        ModelError: a start refuses it.
    """
    config = subject.asked.model_copy(update=lines)
    with arithmetic(subject.config, subject.fixed):
        return open_model(config, subject.device.type, module=subject.as_loaded(), kept=True)


def chosen_by(subject: Subject, served: OpenedModel) -> ForwardSetting:
    own, chosen = setting_of(subject.config), served.candidates[0]
    # A model may have an arithmetic of its own, as in fp64.
    precision = own.precision if chosen.precision == subject.own.config.precision else chosen.precision
    return ForwardSetting(chosen.backend, precision, own.memory_format)
