"""When a forward was compiled, and why a way to compile it was refused. No torch here, for readers without it."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

# Compiled in this start, in an earlier one, or already in the model's file.
Made = Literal["now", "before", "file"]
# wrong_branch: the trace holds the branch that its example took. deviates: its answers differ from eager's.
RefusedCode = (
    Literal["not_compilable", "wrong_branch", "deviates", "already_a_graph", "list_of_rows"]
    | Literal["not_built", "no_compiler", "random", "is_script", "int8"]
)
# A trace that would be wrong for other inputs.
WRONG_TRACE: tuple[RefusedCode, ...] = ("wrong_branch", "deviates")
_COMPILERS = {"aoti": "AOTInductor"}
_WRONG = "a trace would be wrong for other inputs"


@dataclass(frozen=True, slots=True)
class Refused:
    """A way that was tried (script, trace) and refused; `said` is torch's own reason, `deviation` is from eager."""

    way: str
    code: RefusedCode
    said: str = ""
    deviation: float = 0.0

    @property
    def sentence(self) -> str:
        return {
            "not_compilable": f"{_COMPILERS.get(self.way, f'torch.jit.{self.way}')} fails ({self.said})",
            "wrong_branch": f"{_WRONG}: control flow depends on the data ({self.said})",
            "deviates": f"{_WRONG}: on fresh ones it differs from eager by {self.deviation:.2g}",
            "list_of_rows": "forward returns a list with an entry for each row, which only Python can read",
            "int8": "TorchScript cannot keep int8 weights: it fails, or turns them back into fp32",
            "not_built": "nothing is built of it: `pitstop build` does it, and takes minutes",
            "already_a_graph": "a .pt2 export is a graph already; TorchScript does not apply to it",
            "no_compiler": "there is no C++ compiler; install g++ (apt-get install g++), or name one in $CXX",
            "random": "with random: true its random numbers would differ from eager's of the same seed",
            "is_script": "the source is TorchScript, which torch.export does not read",
        }[self.code]


def sentences(refused: Iterable[Refused]) -> str:
    """Return all reasons in one line; "" if there are none."""
    return "; ".join(each.sentence for each in refused)
