"""Where each key belongs: every mapping of a config, Serve's and pitstop's, with its keys.

For a key in the wrong mapping, the linter names the right one.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from functools import cache

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from .key_paths import below, fields
from .lint.applications import MODEL, ROOT
from .schema import ModelConfig, RootConfig, Tunables
from .suggest import advise, closest

Path = tuple[str, ...]
ARGS: Path = ("applications", "args")
USER_CONFIG: Path = ("applications", "deployments", "user_config")
_OURS: dict[str, dict[Path, type[BaseModel]]] = {
    MODEL: {ARGS: ModelConfig, USER_CONFIG: Tunables},
    ROOT: {ARGS: RootConfig},
}
# Names for an application of the other kind.
_OTHER = {MODEL: "a model's application", ROOT: "the root application"}
_OF_CLASS: dict[type[BaseModel], tuple[str, Path]] = {
    ModelConfig: (MODEL, ARGS),
    Tunables: (MODEL, USER_CONFIG),
    RootConfig: (ROOT, ARGS),
}
_A_LETTER_OFF = 0.9
_DEPLOYMENT: dict[object, str] = {MODEL: "Model", ROOT: "Root"}


def serve_schema() -> type[BaseModel] | None:
    """Return the class of a whole config as the installed Ray Serve reads it, or None without Ray."""
    try:
        from ray.serve.schema import ServeDeploySchema
    except ImportError:
        return None
    schema: type[BaseModel] = ServeDeploySchema
    return schema


def advise_key(key: object, known: Collection[str], inside: Sequence[str | int], application: object) -> str:
    """Say where a key that is unknown in this mapping belongs, or which key was probably meant.

    Args:
        key: the key as written.
        known: the keys of this mapping.
        inside: the key path of the mapping, from the top of the file.
        application: the import_path of the application that contains it, or None outside of every application.
    """
    here = tuple(part for part in inside if isinstance(part, str))
    places = {path: keys for path, keys in _places(application) if path != here}
    found = _nearest(key, here, places)
    if found and closest(key, known, _A_LETTER_OFF) is None:
        return f"it belongs in {_words(found, application)}"
    guess = closest(key, {each for keys in places.values() for each in keys})
    if closest(key, known) is not None or guess is None:
        return advise(key, known)
    return f"did you mean {guess!r}, which belongs in {_words(_nearest(guess, here, places), application)}?"


def advise_key_of(key: object, known: Collection[str], model: type[BaseModel], below: Sequence[str | int]) -> str:
    """Like `advise_key`, for a key in the data of one of pitstop's classes."""
    if model not in _OF_CLASS:
        return advise(key, known)
    application, path = _OF_CLASS[model]
    return advise_key(key, known, (*path, *below), application)


def _nearest(key: object, here: Path, places: dict[Path, frozenset[str]]) -> list[Path]:
    """Return the one or two places nearest to `here` that know a key; inside an application, those of applications."""
    having = [path for path, keys in places.items() if key in keys]
    having = [path for path in having if path[:1] == here[:1]] or having
    nearest = sorted(having, key=lambda path: _steps(here, path))
    return [path for path in nearest[:2] if _steps(here, path) <= _steps(here, nearest[0]) + 1]


def _steps(one: Path, other: Path) -> int:
    shared = 0
    while shared < min(len(one), len(other)) and one[shared] == other[shared]:
        shared += 1
    return len(one) + len(other) - 2 * shared


def _words(paths: Sequence[Path], application: object) -> str:
    return " or ".join(_word(path, application) for path in paths)


def _word(path: Path, application: object) -> str:
    for kind, other in _OTHER.items():
        if path[:1] == (other,):
            return f"{_word(('applications', *path[1:]), kind)} of {other}"
    if path[:2] == ARGS:
        return ".".join(path[1:])
    if path[:1] != ("applications",):
        return f"{'.'.join(path)} at the top of the file" if path else "the top of the file"
    rest, whose = path[1:], "the application"
    if path[:2] == ("applications", "deployments"):
        named = f" named {_DEPLOYMENT[application]}" if application in _DEPLOYMENT else ""
        rest, whose = path[2:], f"the deployment{named}"
    return f"{'.'.join(rest)} of {whose}" if rest else whose


@cache
def _places(application: object) -> list[tuple[Path, frozenset[str]]]:
    schema = serve_schema()
    found: list[tuple[Path, dict[str, FieldInfo]]] = [((), fields([schema]))] if schema else []
    for kind, ours in _OURS.items():
        for path, model in ours.items():
            found.append((path if kind == application else (_OTHER[kind], *path[1:]), fields([model])))
    places = [place for path, known in found for place in _below(path, known)]
    # pitstop derives the resources from args.device, and refuses them here.
    return [(path, keys) for path, keys in places if not (application in _OURS and path[-1:] == ("ray_actor_options",))]


def _below(path: Path, known: Mapping[str, FieldInfo | None]) -> Iterator[tuple[Path, frozenset[str]]]:
    yield path, frozenset(known)
    for key, field in known.items():
        if field is not None and (inner := below(key, field)):
            yield from _below((*path, key), inner)
