"""When a forward was compiled, and why a way to compile it was refused. No torch here, for readers without it."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

# Compiled in this start, in an earlier one, or already in the model's file.
Made = Literal["now", "before", "file"]
# data_branch: control flow depends on the data. data_rank: so does the rank of a tensor. data_value: Python reads a
# number out of the data, which a trace freezes. wrong_branch: a trace would freeze a value or a size, and nothing shows
# that it is the same for all inputs. catches, threads: a recording does not show all that forward may do. deviates: its
# answers differ from eager's. any_size: torch warns, and not all sizes that may come can be compared. fixed_size:
# forward fixes one. own_call: what calls forward is changed. floors: it divides floats and rounds down.
RefusedCode = Literal[
    "not_compilable",
    "not_exportable",
    "data_branch",
    "data_rank",
    "data_value",
    "wrong_branch",
    "catches",
    "threads",
    "deviates",
    "any_size",
    "fixed_size",
    "too_long",
    "already_a_graph",
    "list_of_rows",
    "not_built",
    "no_compiler",
    "random",
    "is_script",
    "int8",
    "own_call",
    "floors",
]
# A trace that would be wrong for other inputs.
WRONG_TRACE: tuple[RefusedCode, ...] = ("data_branch", "data_rank", "data_value", "wrong_branch", "deviates")
_COMPILERS = {"aoti": "AOTInductor"}
_WRONG = "a trace would be wrong for other inputs"


@dataclass(frozen=True, slots=True)
class Refused:
    """A way that was tried (script, trace, export, or a backend's name) and refused.

    `said` is torch's own reason, `deviation` is from eager; `file`, `line` and `text` are a line of the network's code.
    """

    way: str
    code: RefusedCode
    said: str = ""
    deviation: float = 0.0
    file: str = ""
    line: int = 0
    text: str = ""

    @property
    def sentence(self) -> str:
        wrong = f"{_WRONG}: " if self.way == "trace" else ""
        return {
            "data_branch": f"{wrong}control flow depends on the data{self._where}",
            "data_rank": f"{wrong}the number of dimensions depends on the data{self._where}",
            "data_value": f"{wrong}a number is read out of the data{self._where}",
            "any_size": f"a trace may be wrong for other sizes, of which requests may bring any ({self.said})",
            "too_long": f"{self.said} takes too long",
            "not_exportable": f"torch.export fails ({self.said}){self._where if self.file else ''}",
            "fixed_size": f"torch.export cannot leave {self.said} open",
            "not_compilable": f"{_COMPILERS.get(self.way, f'torch.jit.{self.way}')} fails ({self.said})",
            "wrong_branch": f"a trace may be wrong for other inputs: it would freeze a value ({self.said})",
            "catches": f"forward goes on after an error, which may depend on the data{self._where}",
            "threads": f"forward hands work to another thread, where nothing is recorded{self._where}",
            "floors": f"AOTInductor rounds floor division of floats otherwise than eager{self._where}",
            "own_call": f"TorchScript compiles forward alone, and {self.said} changes what calls it",
            "deviates": f"{_WRONG}: on fresh ones it differs from eager by {self.deviation:.2g}",
            "list_of_rows": "forward returns a list with an entry for each row, which only Python can read",
            "int8": "TorchScript cannot keep int8 weights: it fails, or turns them back into fp32",
            "not_built": "nothing is built of it: `pitstop build` does it, and takes minutes",
            "already_a_graph": "a .pt2 export is a graph already; TorchScript does not apply to it",
            "no_compiler": f"the C++ compiler does not work ({self.said}); correct it, or name another in $CXX"
            if self.said
            else "there is no C++ compiler; install g++ (apt-get install g++), or name one in $CXX",
            "random": "with random: true its random numbers would differ from eager's of the same seed",
            "is_script": "the source is TorchScript, which torch.export does not read",
        }[self.code]

    @property
    def _where(self) -> str:
        if not self.file:
            return f" ({self.said})" if self.said else ""
        return f" at {self.file}:{self.line}" + (f": `{self.text}`" if self.text else "")


def sentences(refused: Iterable[Refused]) -> str:
    """Return all reasons in one line, each once; "" if there are none."""
    return "; ".join(dict.fromkeys(each.sentence for each in refused))
