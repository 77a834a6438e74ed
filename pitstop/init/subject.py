"""What the user wants to serve: which kind of source it is, and a name for it."""

import json
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, get_args

from configs.code_files import import_path, is_file, names_code, split
from configs.schema import NAME, Task
from models.errors import ModelError

from .options import InitOptions

_SCRIPTS = (".pt", ".pth", ".ts", ".torchscript", ".jit")
# By how the class that save_pretrained wrote ends.
_TASKS: dict[str, Task] = {
    "ForSequenceClassification": "text-classification",
    "ForTokenClassification": "token-classification",
    "ForImageClassification": "image-classification",
    "ForObjectDetection": "object-detection",
    "ForCTC": "automatic-speech-recognition",
    "Model": "sentence-embedding",
}
_FORMS = "path/to/file.py:Network, package.module:Network, model.pt2, a TorchScript model.pt, model.mar or a directory"


@dataclass(frozen=True, slots=True)
class Subject:
    """A source as a config has it, without the arguments of a factory. `archive` is a TorchServe archive."""

    name: str
    source: dict[str, Any] = field(default_factory=dict)
    archive: Path | None = None


def name_of(options: InitOptions) -> str:
    """Return the model's name: as given, or as the source is called."""
    if options.name is not None:
        if not re.fullmatch(NAME, options.name):
            raise ModelError(f"--name {options.name}: may have letters, digits, -, _ and .\nhelp: such as my-model")
        return options.name
    path = Path(options.source)
    if names_code(options.source):
        return _kebab(split(options.source)[1])
    return _kebab(path.stem if path.is_file() else path.name)


def subject_of(options: InitOptions) -> Subject:
    """Return what is to be served; raise ModelError where it is none of the kinds."""
    text, path = options.source, Path(options.source)
    if names_code(text):
        weights = {"weights": options.weights} if options.weights else {}
        return Subject(name_of(options), {"factory": import_path(text), **weights})
    found = _of_path(options, text, path)
    if options.weights:
        raise ModelError(f"--weights: {text} has its own\nhelp: leave it out, or name the network as {text}:Class")
    return found


def _of_path(options: InitOptions, text: str, path: Path) -> Subject:
    name = name_of(options)
    if path.suffix == ".mar" or (path / "MAR-INF").is_dir():
        return Subject(name, archive=path)
    if path.is_dir() or (options.task is not None and not path.exists()):
        return Subject(name, {"pretrained": text, "task": options.task or _task(path)})
    if is_file(text):
        raise ModelError(f"{text} names a file, but no network in it\nhelp: {_classes_in(path)}")
    if not path.exists():
        raise ModelError(f"{text}: no such file\nhelp: name {_FORMS}")
    if path.suffix == ".pt2":
        return Subject(name, {"exported_program": text})
    if path.suffix in _SCRIPTS:
        from ..export.checkpoint import is_torchscript

        if is_torchscript(path):
            return Subject(name, {"torchscript": text})
        _refuse_pickle(path)
    raise ModelError(
        f"{text}: is neither TorchScript nor a .pt2; weights alone have no network\n"
        f"help: name the network: pitstop init path/to/file.py:Network --weights {text}"
    )


def _refuse_pickle(path: Path) -> None:
    """Raise ModelError where a file is a pickle of more than weights; nothing of it is run."""
    from models.sources import checkpoint

    try:
        checkpoint.read(path, str(path))
    except checkpoint.PickledError as error:
        raise ModelError(
            f"{path}: holds a pickled object, not plain weights; loading it would run its author's code\n"
            "help: where you trust the file, convert it once, then give the result as --weights of the network:\n"
            f"      pitstop export {path} -o model.safetensors --trust-pickle"
        ) from error
    except ModelError:
        pass


def _task(path: Path) -> Task:
    if (path / "modules.json").is_file():
        return "sentence-embedding"
    try:
        found = json.loads((path / "config.json").read_text(encoding="utf-8"))
        [saved_as] = found["architectures"]
        return next(task for end, task in _TASKS.items() if str(saved_as).endswith(end))
    except (OSError, ValueError, KeyError, TypeError, StopIteration):
        raise ModelError(
            f"{path}: does not say what its network does\nhelp: name the directory that save_pretrained wrote, or give "
            f"--task, one of {', '.join(get_args(Task))}"
        ) from None


def _classes_in(path: Path) -> str:
    try:
        classes = re.findall(r"^class (\w+)\(.*Module\)", path.read_text(encoding="utf-8"), re.MULTILINE)
    except OSError:
        return f"{path} is not there"
    return f"add its class: {' or '.join(f'{path}:{each}' for each in classes[:4] or ['Network'])}"


def _kebab(text: str) -> str:
    """Return a name for URLs: SmallNet is small-net."""
    words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "-", text).lower()
    return re.sub(r"[^a-z0-9.-]+", "-", words).strip("-.") or "model"
