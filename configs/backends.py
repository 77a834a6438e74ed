"""The backends that a config may name, and everything about them but how they compile. No torch here.

To add one, write its module, with a `build` as models/compile/build.py describes it, and list it here: the schema, the
start, `audit` and `tune` use this list. Then write docs/settings.md with `python -m configs.settings_page`. A config
may also name a function of its own as backend, as `package.module:function`, which models/compile/own.py calls.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import AfterValidator, WithJsonSchema

from .code_files import import_path
from .suggest import advise

if TYPE_CHECKING:
    from .schema import SourceConfig


@dataclass(frozen=True, slots=True)
class Backend:
    """One way to run a forward.

    `title` is its name in reports; `builder` is the module that compiles, imported only where torch is. `sources` are
    the kinds of source that it can compile; a file is already a graph, which most backends cannot compile again.
    `slow`: it compiles for minutes, so `--quick` leaves it out. `artefact` is the suffix of the files that keep its
    compiled models between starts, in a folder of its name; "" if none are kept. What is slow and not kept is no
    candidate of `backend: auto`. `one_program`: once it has run twice, a new shape costs it no more than its forward.
    `quantized`: it keeps weights of int8.
    """

    name: str
    title: str
    builder: str
    devices: tuple[str, ...] = ("cuda", "cpu")
    sources: tuple[str, ...] = ("factory", "pretrained")
    slow: bool = False
    artefact: str = ""
    one_program: bool = False
    quantized: bool = True

    @property
    def built(self) -> bool:
        """Whether `pitstop build` makes it, and a start only loads it."""
        return self.slow and bool(self.artefact)

    @property
    def in_auto(self) -> bool:
        """Whether it is a candidate of `backend: auto`."""
        return self.built or not self.slow

    def takes(self, source: "SourceConfig") -> bool:
        """Whether it can compile this kind of source."""
        return any(getattr(source, kind) is not None for kind in self.sources)


AUTO, EAGER, TORCHSCRIPT = "auto", "eager", "torchscript"
DEFAULT = AUTO
# Those that win most often come first, so that a short search tries them; of two equally fast, auto takes the first.
BACKENDS: dict[str, Backend] = {
    each.name: each
    for each in (
        Backend(
            TORCHSCRIPT,
            "TorchScript",
            "models.compile.torchscript",
            sources=("factory", "torchscript", "pretrained"),
            artefact=".pt",
            one_program=True,
            quantized=False,
        ),
        Backend(
            "aoti",
            "AOTInductor",
            "models.compile.aoti",
            sources=("factory", "exported_program", "pretrained"),
            slow=True,
            artefact=".pt2",
            one_program=True,
        ),
        Backend("compile", "torch.compile", "models.compile.torch_compile", slow=True),
        Backend(
            EAGER,
            "eager",
            "models.compile.eager",
            sources=("factory", "exported_program", "pretrained"),
            one_program=True,
        ),
    )
}


def tried_on(device: str) -> list[Backend]:
    """Return the backends that a start, audit and tune try on a device, the most promising first."""
    return [each for each in BACKENDS.values() if device in each.devices]


def backend_of(name: str) -> Backend:
    """Return the backend of a config; of `auto` and of a user's own function only the name and the title say much."""
    if name == AUTO:
        return Backend(AUTO, "the fastest that passes the checks", "")
    return BACKENDS.get(name) or Backend(name, short(name), "models.compile.own")


def short(name: str) -> str:
    """Return a backend's name for a table: of a function of the user's, its file without the folders."""
    return name.rpartition("/")[2]


def titled(backend: str, precision: str) -> str:
    """Return a way to run a forward for people: `AOTInductor bf16`."""
    return f"{backend_of(backend).title} {precision}"


def is_own(name: str) -> bool:
    """Whether a backend is the user's own function."""
    return ":" in name


def _known(name: str) -> str:
    if is_own(name):
        return import_path(name)
    if name not in (AUTO, *BACKENDS):
        raise ValueError(
            f"there is no such backend; got {name!r}\n"
            f"help: {advise(name, (AUTO, *BACKENDS))}; or name a function of your own, as package.module:function or "
            "path/to/file.py:function"
        )
    return name


_NAMES: dict[str, Any] = {"enum": [AUTO, *BACKENDS]}
BackendName = Annotated[
    str, AfterValidator(_known), WithJsonSchema({"anyOf": [_NAMES, {"type": "string", "pattern": ":"}]})
]
