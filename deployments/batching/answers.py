"""A batch's outputs to the answers of its requests, and the answers of a request's parts to one."""

import numpy as np

from ..core.errors import InferenceFailed
from .queue import Answer, Part


def split(parts: list[Part], outputs: Answer) -> list[tuple[Part, Answer]]:
    """Give every part its own rows of a batch's outputs."""
    found, row = [], 0
    for part in parts:
        stop = row + part.stop - part.start
        found.append((part, {name: array[row:stop] for name, array in outputs.items()}))
        row = stop
    return found


def joined(part: Part, answer: Answer | Exception) -> Answer | Exception | None:
    """Return what a part's request is told, or None while other parts of it are on their way."""
    if isinstance(answer, Exception):
        return answer
    try:
        return join(part, answer)
    except Exception as error:  # Whatever is wrong with these rows is none of the others' business.
        return InferenceFailed(error)


def join(part: Part, answer: Answer) -> Answer | None:
    """Add a part's answer to its item; return the whole once every row is there, in whichever order parts came.

    Behind ingress replicas two blocks of one item are on their way at a time, and the later one may be back first.
    """
    item = part.item
    if not item.answers and answer_rows(answer) == item.rows:
        return answer
    item.answers[part.start] = answer
    if sum(answer_rows(each) for each in item.answers.values()) < item.rows:
        return None
    return {name: np.concatenate([item.answers[start][name] for start in sorted(item.answers)]) for name in answer}


def answer_rows(answer: Answer) -> int:
    return int(next(iter(answer.values())).shape[0])
