"""What is asked of the package transformers: a directory's configuration, and whether it knows a task's network."""

from types import ModuleType
from typing import Any

from configs.schema import Task

from ...errors import ModelError, first_line
from .directory import Directory, missing_package

# For each task the class that loads its network, and the table of configurations that have one.
NETWORKS: dict[Task, tuple[str, str]] = {
    "text-classification": ("AutoModelForSequenceClassification", "MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING"),
    "token-classification": ("AutoModelForTokenClassification", "MODEL_FOR_TOKEN_CLASSIFICATION_MAPPING"),
    "sentence-embedding": ("AutoModel", "MODEL_MAPPING"),
    "image-classification": ("AutoModelForImageClassification", "MODEL_FOR_IMAGE_CLASSIFICATION_MAPPING"),
    "object-detection": ("AutoModelForObjectDetection", "MODEL_FOR_OBJECT_DETECTION_MAPPING"),
    "automatic-speech-recognition": ("AutoModelForCTC", "MODEL_FOR_CTC_MAPPING"),
}


def library() -> ModuleType:
    """Return the package, or raise a ModelError that says which extra to install."""
    try:
        import transformers
    except ImportError:
        raise missing_package() from None
    return transformers


def configuration(directory: Directory, task: Task) -> Any:
    """Return the configuration; raise ModelError if the network is code of the directory's, or not for this task."""
    transformers, written = library(), directory.json("config.json")
    kind = written.get("model_type")
    _, table = NETWORKS[task]
    if kind not in transformers.CONFIG_MAPPING:
        if written.get("auto_map"):
            raise _remote_code(directory)
        raise ModelError(
            f"{directory.location}: its config.json has model_type {kind!r}, which transformers "
            f"{transformers.__version__} does not know\nhelp: install the version that config.json was written by"
        )
    try:
        found = transformers.AutoConfig.from_pretrained(str(directory.path), trust_remote_code=False)
    except Exception as error:  # Whatever the values in the file lead to.
        raise unreadable(directory, "config.json", error) from error
    if type(found) not in getattr(transformers, table):
        if written.get("auto_map"):
            raise _remote_code(directory)
        saved_as = ", ".join(written.get("architectures") or ["no class"])
        raise ModelError(
            f"{directory.location}: is a {kind}, and transformers has no {task} for one\n"
            f"help: change source.task; the network was saved as {saved_as}"
        )
    return found


def part(directory: Directory, kind: str, what: str, settings: str, *files: str, **options: Any) -> Any:
    """Return what stands beside a network, such as its tokenizer.

    Args:
        directory: where it is.
        kind: the class of transformers that loads it.
        what: its name, for errors.
        settings: the JSON file that says which class it has.
        files: it is there if one of these is; `settings` by default.
        options: for from_pretrained.

    Raises:
        ModelError: it is not there, cannot be loaded, or is code of the directory's.
    """
    if not directory.has(*(files or (settings,))):
        raise ModelError(
            f"{directory.location}: has no {what}{'' if files else f' ({settings})'}\n"
            f"help: save it into the same directory: {what.replace(' ', '_')}.save_pretrained(DIR)"
        )
    try:
        return getattr(library(), kind).from_pretrained(str(directory.path), trust_remote_code=False, **options)
    except Exception as error:  # Whatever the files lead to.
        refuse_remote_code(directory, settings, error)
        raise unreadable(directory, f"its {what}", error) from error


def refuse_remote_code(directory: Directory, name: str, error: Exception) -> None:
    """Raise the sentence on code in the directory if that is why a part of it did not load."""
    if directory.json(name).get("auto_map") and "code" in str(error):
        raise _remote_code(directory) from error


def unreadable(directory: Directory, what: str, error: Exception) -> ModelError:
    return ModelError(
        f"{directory.location}: {what} cannot be loaded ({type(error).__name__}: {first_line(error)})\n"
        "help: save the whole model again with save_pretrained"
    )


def _remote_code(directory: Directory) -> ModelError:
    return ModelError(
        f"{directory.location}: needs code that comes with it (auto_map in its config.json), and such code is "
        "never run\nhelp: take a model whose class is part of transformers, or, where you trust the code, install it "
        "and name a factory of yours"
    )
