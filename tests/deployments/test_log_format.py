"""A traceback of a replica is several lines, whatever Serve has put in the place of print."""

import builtins
import io
import logging
import sys

import pytest

from deployments.log_format import Formatter, set_up
from tests.deployments.ray_compat.tested import private


def test_a_traceback_is_lines_though_serve_has_replaced_print(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(builtins, "print", private("ray.serve._private.logging_utils.redirected_print"))
    written = io.StringIO()
    handler = logging.StreamHandler(written)
    handler.setFormatter(Formatter("%(levelname)s pitstop: %(message)s"))
    log = logging.Logger("alone")
    log.addHandler(handler)
    try:
        raise KeyError("boom")
    except KeyError as error:
        log.error("it failed", exc_info=error)
    lines = written.getvalue().splitlines()
    assert lines[:2] == ["ERROR pitstop: it failed", "Traceback (most recent call last):"]
    assert lines[2].startswith(f'  File "{__file__}", line ')
    assert lines[-1] == "KeyError: 'boom'"


def test_a_replicas_log_writes_its_tracebacks_so(monkeypatch: pytest.MonkeyPatch) -> None:
    log = logging.getLogger("pitstop")
    monkeypatch.setattr(log, "handlers", [])
    monkeypatch.setattr(log, "propagate", True)
    monkeypatch.setattr(sys, "__stderr__", io.StringIO())
    assert [type(each.formatter) for each in set_up().handlers] == [Formatter]
