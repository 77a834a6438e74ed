"""Splits a batch's outputs into the answers of its parts, and joins the answers of a request's parts."""

from models.runtime.dims import Cut, below

from ..core.errors import InferenceFailed
from .queue import Answer, Part


def split(parts: list[Part], outputs: Answer, cut: Cut | None = None) -> list[tuple[Part, Answer]]:
    """Give every part its own rows of a batch's outputs, cut back to its own sizes where any are open."""
    answers, row = [], 0
    for part in parts:
        stop = row + part.stop - part.start
        own = {name: array[row:stop] for name, array in outputs.items()}
        answers.append((part, own if cut is None else cut(part.arrays, own)))
        row = stop
    return answers


def joined(part: Part, answer: Answer | Exception) -> Answer | Exception | None:
    """Return the answer or error of a part's request, or None while other parts of it are missing."""
    if isinstance(answer, Exception):
        return answer
    try:
        return join(part, answer)
    except Exception as error:  # An error of these rows must not fail the others.
        return InferenceFailed(error)


def join(part: Part, answer: Answer) -> Answer | None:
    """Add a part's answer to its item; return the whole answer once every row is there. Parts may come in any order.

    An ingress replica sends two blocks of one item at a time, and the later one may be back first.
    """
    item = part.item
    if not item.answers and answer_rows(answer) == item.rows:
        return answer
    item.answers[part.start] = answer
    if sum(answer_rows(each) for each in item.answers.values()) < item.rows:
        return None
    # Where data decides a size, parts of one request may differ in it.
    return {name: below([item.answers[start][name] for start in sorted(item.answers)]) for name in answer}


def answer_rows(answer: Answer) -> int:
    return int(next(iter(answer.values())).shape[0])
