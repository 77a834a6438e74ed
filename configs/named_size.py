"""An open size of a tensor: a dimension by its name, or what arithmetic makes of it: `height/4`, `samples//320`.

`/` rounds up, as strides with padding do; `//` rounds down; `+`, `-` and `*` are themselves. Only one name, whole
numbers and parentheses are read.
"""

import ast
import operator
import re
from collections.abc import Callable
from functools import lru_cache

from .strict import Strict

NAME = re.compile(r"[A-Za-z_]\w*")
_MOST_LETTERS = 200
_OPERATORS: dict[type[ast.operator], Callable[[int, int], int]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: lambda size, by: -(-size // by),
    ast.FloorDiv: operator.floordiv,
}
_HELP = (
    "write a number, a name, or arithmetic with one name: height/4 rounds up, height//4 down, also tokens-2, frames*256"
)


class NamedSize(Strict):
    """The open size of one axis. `text` is as in the config, `name` the dimension in it."""

    axis: int
    name: str
    text: str

    @property
    def plain(self) -> bool:
        """Whether it is the dimension itself."""
        return self.text == self.name

    def of(self, size: int) -> int:
        """Return the size of this axis where the dimension has `size`; 0 where arithmetic makes less."""
        return size if self.text == self.name else max(0, _compiled(self.text)(size))


def axis_named(axis: int, name: str) -> NamedSize:
    """Return an axis that has the size of a dimension."""
    return NamedSize(axis=axis, name=name, text=name)


def named_size(axis: int, text: str) -> NamedSize:
    """Return what a shape's entry says, or raise ValueError."""
    if len(text) > _MOST_LETTERS:
        raise ValueError(f"{text!r} is no size\nhelp: {_HELP}")
    if NAME.fullmatch(text):  # Also what is a word of Python, as `in`.
        return axis_named(axis, text)
    names = {each.id for each in ast.walk(_tree(text)) if isinstance(each, ast.Name)}
    # Python reads some letters as others, which a name in dims is not.
    if len(names) != 1 or not names <= set(NAME.findall(text)) or "#" in text:
        raise ValueError(f"{text!r} is no size\nhelp: {_HELP}")
    _compiled(text)
    return NamedSize(axis=axis, name=names.pop(), text=text)


@lru_cache(maxsize=1024)
def _compiled(text: str) -> Callable[[int], int]:
    return _function(_tree(text), text)


def _tree(text: str) -> ast.expr:
    try:
        return ast.parse(text, mode="eval").body
    except (SyntaxError, ValueError) as error:
        raise ValueError(f"{text!r} is no size\nhelp: {_HELP}") from error


def _function(node: ast.expr, text: str) -> Callable[[int], int]:
    if isinstance(node, ast.Name):
        return lambda size: size
    if isinstance(node, ast.Constant) and type(node.value) is int:
        number = node.value
        return lambda _: number
    if not isinstance(node, ast.BinOp) or (compute := _OPERATORS.get(type(node.op))) is None:
        raise ValueError(f"{text!r} is no size\nhelp: {_HELP}")
    left, right = _function(node.left, text), _function(node.right, text)
    if isinstance(node.op, ast.Div | ast.FloorDiv) and not (isinstance(node.right, ast.Constant) and right(0) > 0):
        raise ValueError(f"{text!r} is no size: only a whole number above 0 may divide\nhelp: {_HELP}")
    return lambda size: compute(left(size), right(size))
