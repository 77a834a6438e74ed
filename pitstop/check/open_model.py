"""Opens one model as a replica's start does, in this process: what load_models.py has done in a process of its own."""

import logging
import os
import traceback
from collections.abc import Callable
from typing import TYPE_CHECKING

from configs.backends import AUTO, backend_of
from configs.loader import ModelApp, load
from configs.problems import ConfigError
from configs.tensors import TensorConfig

from ..child_process import Report
from ..measure.hardware import device_here

if TYPE_CHECKING:
    from models.startup.opened_model import OpenedModel


def open_one(order: tuple[str, str, bool], report: Report) -> None:
    """Open an application of a config; report whether it opened, what came of it, and what the start warned of.

    The third part of the order is whether the outcome is kept for later starts.
    """
    config, application, kept = order
    warned: list[str] = []
    logging.getLogger("pitstop").addHandler(Heard(warned.append, logging.WARNING))
    try:
        app = next(app for app in load(config).models if app.name == application)
        found = (True, _open(app, kept))
    except BaseException as error:  # A factory may raise anything, SystemExit too, and each has its sentence.
        found = (False, told(error))
    report((*found, "\n".join(dict.fromkeys(warned))))


class Heard(logging.Handler):
    """Hands on what a start logs, line by line."""

    def __init__(self, tell: Callable[[str], None], level: int = logging.INFO) -> None:
        super().__init__(level)
        self._tell = tell

    def emit(self, record: logging.LogRecord) -> None:
        self._tell(record.getMessage())


def _open(app: ModelApp, kept: bool) -> str:
    from models.errors import ModelError

    device, note = place(app)
    from models.startup.open_model import open_model
    from models.startup.output_binding import BY_NAME, ONE_TENSOR

    served = open_model(app.config, device, note or None, kept=kept)
    slowest_s = max(served.forward_ms.values(), default=0.0) / 1000
    hang_s = app.tunables.forward_timeout_s
    if hang_s is not None and slowest_s >= hang_s:
        raise ModelError(
            f"user_config.forward_timeout_s is {hang_s:g}, and the start's slowest forward took {slowest_s:.1f} s: "
            "the replica would end itself\nhelp: raise forward_timeout_s, or lower max_batch_size"
        )
    read = "" if served.outputs_read in (BY_NAME, ONE_TENSOR) else f"; outputs {served.outputs_read}"
    if not app.config.inputs and app.config.source.pretrained is None:
        found = ", ".join(f"{each.name} {each.datatype} {_shape(each)}" for each in served.config.inputs)
        read = f"; inputs as found: {found}{read}"
    took, why = f"ready after {served.started_s:.1f} s", _why_not(app.config.backend, served)
    return f"{device}, {served.chosen}; {took}{read}{why and f'; {why}'}{note and f'; {note}'}"


def _why_not(asked: str, served: "OpenedModel") -> str:
    """Return why another backend serves than the one that the config names; "" where it does."""
    from models.compile.refused import sentences

    if asked in (AUTO, served.chosen.backend):
        return ""
    reasons = dict.fromkeys(each.reason for each in served.candidates if each.backend == asked and each.reason)
    return f"not {backend_of(asked).title}: {'; '.join(reasons) or sentences(served.checks.compilation.refused)}"


def _shape(tensor: TensorConfig) -> str:
    return f"[{', '.join(map(str, tensor.shape))}]"


def place(app: ModelApp) -> tuple[str, str]:
    """Choose the device as deployments/resources.py does, by this machine in place of the cluster."""
    import torch

    device = device_here(app.config.device)
    note = "device: auto found no GPU on this machine" if (app.config.device, device) == ("auto", "cpu") else ""
    if device == "cpu":
        os.environ["CUDA_VISIBLE_DEVICES"] = ""
        torch.set_num_threads(app.config.threads)
    return device, note


def told(error: BaseException) -> str:
    from models.errors import ModelError

    if isinstance(error, ModelError | ConfigError):
        return str(error)
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename != __file__]
    place = f" ({frames[-1].filename}:{frames[-1].lineno})" if frames else ""
    traceback.print_exception(error)
    return f"{type(error).__name__}: {error}{place}\nhelp: the model's own code raised it; its traceback stands above"
