"""A curl command for a model, with an input that the model has just answered."""

import os
import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import requests
from requests import RequestException

from configs.code_files import PROJECT, local
from configs.loader import ModelApp

from ..load import bodies
from ..load.errors import LoadError
from ..load.target import Target
from ..load.token import VARIABLE, token_header

_PICTURES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".gif")
# The one picture reader that comes with a picture.
_BUNDLED = {"models.zoo.digits_image:read_image": PROJECT / "examples" / "seven.png"}
# What fits a few lines of a terminal; a longer body goes to a file.
_SHORT = 400
_TIMEOUT_S = 60


@dataclass(frozen=True, slots=True)
class Call:
    """A POST: where to, its headers and its body, and that body's file where there is one."""

    url: str
    body: bytes
    headers: Sequence[tuple[str, str]] = ()
    file: Path | None = None
    answer_is_binary: bool = False

    def command(self) -> str:
        """Return it as a line for a shell; a token stands there as its variable."""
        parts = ["curl", self.url, *(f"-H {shlex.quote(f'{name}: {value}')}" for name, value in self.headers)]
        if token_header():
            parts.append(f'-H "Authorization: Bearer ${VARIABLE}"')
        parts.append(
            f"-d {shlex.quote(self.body.decode())}" if self.file is None else f"--data-binary @{_shown(self.file)}"
        )
        return " ".join([*parts, *(["--output answer.bin"] if self.answer_is_binary else [])])


def curl(app: ModelApp, target: Target, folder: Path) -> str:
    """Return a command that works; else one that shows the model's metadata, and the way to a better one."""
    why = "name a file of real inputs as its example"
    for make in (_picture, _tensors):
        try:
            call = make(app, target, folder)
            if call is None:
                continue
            if (wrong := _refused(call)) is None:
                return call.command()
            why = wrong
        except LoadError as error:
            why = str(error)
    return f"curl {target.url} # no request of ours fits: {why.partition(chr(10))[0]}"


def _picture(app: ModelApp, target: Target, _folder: Path) -> Call | None:
    """Return a picture sent to /predict: the config's own example, or the one that is bundled."""
    given = app.config.example
    named = () if given is None else (given,) if isinstance(given, str) else given
    pictures = [file for each in named if each.endswith(_PICTURES) and (file := local(each)) is not None]
    pictures += [file for reader, file in _BUNDLED.items() if reader == app.config.predict.decode and file.is_file()]
    return Call(f"{target.url}/predict", pictures[0].read_bytes(), (), pictures[0]) if pictures else None


def _tensors(_app: ModelApp, target: Target, folder: Path) -> Call:
    """Return a request of tensors: the example of the model's metadata, or numbers that fit it."""
    request = bodies.requests(target, None, 1, None)[0]
    binary = any(tensor.datatype == "FP16" for tensor in request)
    headers, body = bodies.http_body(request, "binary" if binary else "json")
    if not binary:
        # curl's own, which the server takes for JSON too, is shorter.
        headers = {}
        if len(body) <= _SHORT:
            return Call(f"{target.url}/infer", body)
    file = folder / f"{target.model}.{'bin' if binary else 'json'}"
    file.write_bytes(body)
    return Call(f"{target.url}/infer", body, tuple(headers.items()), file, binary)


def _refused(call: Call, post: Callable[..., requests.Response] = requests.post) -> str | None:
    """Send it; return what is wrong with the answer, or None."""
    headers = {"Content-Type": "application/x-www-form-urlencoded", **dict(call.headers), **token_header()}
    try:
        answer = post(call.url, data=call.body, headers=headers, timeout=_TIMEOUT_S)
    except RequestException as error:
        return f"no answer ({type(error).__name__})"
    return None if answer.ok else f"it answers {answer.status_code}: {answer.text[:200]}"


def _shown(file: Path) -> str:
    """Return a file as it is named from here, if it is below; quoted for a shell."""
    own = file.resolve()
    here = Path.cwd()
    return shlex.quote(os.path.relpath(own, here) if own.is_relative_to(here) else str(own))
