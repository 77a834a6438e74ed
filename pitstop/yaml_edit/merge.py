"""Puts an edit into a file line by line, so that every line that was not edited stays byte for byte.

ruamel.yaml keeps comments, but not all spaces and line breaks. So the file as it writes it without the edit is compared
with the file as it writes it with the edit, and only the difference goes into the file.
"""

from collections.abc import Container, Iterator, Sequence
from difflib import SequenceMatcher

Lines = Sequence[str]


def merge(text: str, before: str, after: str) -> str:
    """Return `text` with the difference between `before` and `after`.

    Args:
        text: the file.
        before: the file as the library writes it.
        after: `before` with the edit.

    Raises:
        LookupError: the place in the file is not clear.
    """
    own, old, new = (_lines(each) for each in (text, before, after))
    places = _places(own, old)
    merged: list[str] = []
    done = 0
    for first, last, lines in _edits(old, new, places):
        start, end = places[first], places[last]
        if start < done:
            raise LookupError("two edits overlap")
        if first == last:
            start = end = _before_comments(own, start, done)
        pairs = [(old[index], own[place]) for index, place in places.items() if index < last and place < len(own)]
        merged += [*own[done:start], *_indented(lines, pairs)]
        done = end
    return "\n".join([*merged, *own[done:]]) + ("\n" if text.endswith("\n") else "")


def _lines(text: str) -> list[str]:
    return text.removesuffix("\n").split("\n")


def _places(own: Lines, old: Lines) -> dict[int, int]:
    """Return which line of the file each line of `old` is, ascending; where lines were joined or split, the first."""
    left, right = ([" ".join(line.split()) for line in lines] for lines in (own, old))
    found = {}
    for _, first, last, start, end in SequenceMatcher(None, left, right, autojunk=False).get_opcodes():
        found[start] = first
        if last - first == end - start:
            found |= zip(range(start, end), range(first, last), strict=True)
    return found | {len(old): len(own)}


def _edits(old: Lines, new: Lines, places: Container[int]) -> Iterator[tuple[int, int, Lines]]:
    """Yield which lines of `old` become which others; what the file has on several lines is taken as a whole."""
    for tag, first, last, start, end in SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        if tag == "equal":
            continue
        before, after = 0, 0
        while first - before not in places:
            before += 1
        while last + after not in places:
            after += 1
        yield first - before, last + after, new[start - before : end + after]


def _before_comments(own: Lines, place: int, done: int) -> int:
    """The library puts a new key below the comments that follow its mapping; they belong to what comes next."""
    while place > done and (not own[place - 1].strip() or own[place - 1].lstrip().startswith("#")):
        place -= 1
    return place


def _indented(lines: Lines, pairs: Sequence[tuple[str, str]]) -> list[str]:
    """Indent as the file has the nearest line of this depth; `pairs` holds each line as written anew, and as it is."""
    depth = _depth(lines[0]) if lines else 0
    shift = next((_depth(own) - depth for old, own in reversed(pairs) if old.strip() and _depth(old) == depth), 0)
    return [" " * (len(line) - len(line.lstrip(" ")) + shift) + line.lstrip(" ") if line else line for line in lines]


def _depth(line: str) -> int:
    """Return the column of a line's key, behind the dash of a list."""
    return len(line) - len(line.lstrip(" -"))
