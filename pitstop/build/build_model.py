"""Builds one model, in this process: opens it as a start does, with time to compile every candidate."""

import logging
from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING

from configs.loader import load
from configs.schema import ModelConfig
from models.cache import cache_dir

from ..check.open_model import Heard, place, told
from ..child_process import Report
from .main import Built, Kept, Order

if TYPE_CHECKING:
    from models.startup.check_results import CheckResult


def build_one(order: Order, report: Report) -> None:
    """Build an application of a config; report each step as a line, and then what came of it."""
    log = logging.getLogger("pitstop")
    log.addHandler(Heard(report))
    log.setLevel(logging.INFO)
    log.propagate = False
    config: ModelConfig | None = None
    try:
        app = next(app for app in load(order.config).models if app.name == order.application)
        config = app.config if order.store is None else app.config.model_copy(update={"store": order.store})
        device, note = place(app)
        from models.compile.store import check_build
        from models.startup.open_model import open_model

        check_build(config.store)
        served = open_model(config, device, note or None, minutes=True)
        chosen = served.candidates[0]
        rate = "" if chosen.rows_s is None else f", {chosen.rows_s:,.1f} rows/s"
        fallback = f"; {note}" if note else ""
        text = f"built for {device} in {served.started_s:.0f} s; {served.chosen} serves{rate}{fallback}"
        built = Built(True, text, served.candidates, _worth_telling(served.checks.results))
    except BaseException as error:  # A factory may raise anything, SystemExit too, and each has its sentence.
        built = Built(False, told(error))
    report(replace(built, kept=_kept(config)))


def _worth_telling(checks: Iterable["CheckResult"]) -> tuple[str, ...]:
    """Return what the config's `accept` has found, and every check that the config waives."""
    from models.startup.acceptance_result import Acceptance
    from models.startup.check_results import line

    return tuple(line(each) for each in checks if isinstance(each, Acceptance) or each.code == "waived")


def _kept(config: ModelConfig | None) -> Kept:
    from models.compile.shared_store import place_of, written
    from models.sources.files import shown

    store = None if config is None else place_of(config)
    return Kept(str(cache_dir()), None if store is None else shown(store), tuple(written.values()))
