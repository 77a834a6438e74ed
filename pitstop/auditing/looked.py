"""Loads, looks at and times one model in this process: the part of an audit that runs the user's code."""

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from configs.loader import ModelApp
from configs.problems import Keys

from .built import build
from .examined import Sight
from .finding import Finding, refusal
from .pace import LOADING, PROVING, Pace
from .reason import refusal_text
from .row_ops import ops_per_row
from .shown import shown
from .step import setting_of
from .subject import load, subject_of
from .waterfall import planned, waterfall


def looked(app: ModelApp, keys: Keys, pace: Pace) -> Iterator[Sight]:
    """Load and time one model; yields what is known so far after each step.

    Raises:
        ModelError: it cannot be loaded.
    """
    args = (*keys, "args")
    with _quiet():
        pace.announce(LOADING)
        loaded = load(app.config)
        pace.announce(PROVING)
        found: tuple[Finding, ...] = ()
        try:
            subject = subject_of(loaded)
            built = build(subject, setting_of(app.config))
            found = tuple(shown(subject, built, args))
        except Exception as error:  # Whatever it raises, a replica would not start.
            yield Sight(loaded.device.type, (refusal(refusal_text(error), args),), ())
            return
        sight = Sight(subject.device.type, found, (), ops_per_row(subject, built), planned(subject, built))
        for step in waterfall(subject, built, pace):
            sight = replace(sight, steps=(*sight.steps, step))
            yield sight


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep torch's and our own warnings out of the table: each becomes a note or a finding where it matters."""
    log = logging.getLogger("pitstop")
    before = log.disabled
    log.disabled = True
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        log.disabled = before
