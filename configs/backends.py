"""The backends that a config may name, and everything about them but how they compile. No torch here.

To add one, write its module, with a `build` as models/compile/build.py describes it, and list it here: the schema, the
start, `audit` and `tune` use this list. Then write docs/settings.md with `python -m configs.settings_page`.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from pydantic import AfterValidator

from .suggest import advise

if TYPE_CHECKING:
    from .schema import SourceConfig


@dataclass(frozen=True, slots=True)
class Backend:
    """One way to run a forward.

    `title` is its name in reports; `builder` is the module that compiles, imported only where torch is. `sources` are
    the kinds of source that it can compile; a file is already a graph, which most backends cannot compile again.
    `slow`: it compiles for minutes, so `--quick` leaves it out. `artefact` is the suffix of the files that keep its
    compiled models between starts, in a folder of its name; "" if none are kept.
    """

    name: str
    title: str
    builder: str
    devices: tuple[str, ...] = ("cuda", "cpu")
    sources: tuple[str, ...] = ("factory", "pretrained")
    slow: bool = False
    artefact: str = ""

    def takes(self, source: "SourceConfig") -> bool:
        """Whether it can compile this kind of source."""
        return any(getattr(source, kind) is not None for kind in self.sources)


EAGER, DEFAULT = "eager", "torchscript"
# Those that win most often come first, so that a short search tries them.
BACKENDS: dict[str, Backend] = {
    each.name: each
    for each in (
        Backend(
            DEFAULT,
            "TorchScript",
            "models.compile.torchscript",
            sources=("factory", "torchscript", "pretrained"),
            artefact=".pt",
        ),
        Backend(
            "aoti",
            "AOTInductor",
            "models.compile.aoti",
            sources=("factory", "exported_program", "pretrained"),
            slow=True,
            artefact=".pt2",
        ),
        Backend("compile", "torch.compile", "models.compile.torch_compile", slow=True),
        Backend(EAGER, "eager", "models.compile.eager", sources=("factory", "exported_program", "pretrained")),
    )
}


def tried_on(device: str) -> list[Backend]:
    """Return the backends that audit and tune try on a device, the most promising first."""
    return [each for each in BACKENDS.values() if device in each.devices]


def _known(name: str) -> str:
    if name not in BACKENDS:
        raise ValueError(f"there is no such backend; got {name!r}\nhelp: {advise(name, BACKENDS)}")
    return name


BackendName = Annotated[str, AfterValidator(_known)]
