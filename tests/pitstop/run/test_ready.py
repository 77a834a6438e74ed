"""The line of a model that is ready, from its metadata."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from pitstop.load.errors import TokenError
from pitstop.run import ready
from pitstop.run.ready import address, details, line

CHECKS = [
    {"check": "inference mode", "code": "passed", "sentence": "eval mode"},
    {"check": "padding", "code": "not_applicable", "sentence": "nothing is padded"},
    {"check": "compilation", "code": "waived", "sentence": "not compared"},
    {"check": "device", "code": "measured", "fallback": "device: auto found no GPU", "sentence": "CPU; FALLBACK"},
    {"check": "batching", "code": "measured", "best_rows": 64, "sentence": "11.2 times faster"},
]
PROPERTIES = {"device": "cpu", "backend": "script", "precision": "fp32", "started_s": 1.69, "checks": CHECKS}


def test_it_says_device_backend_precision_best_batch_and_checks() -> None:
    chosen = [{"backend": "eager", "outcome": "not_faster"}, {"backend": "torchscript", "outcome": "chosen"}]
    assert line("digits", {**PROPERTIES, "candidates": chosen}) == (
        "digits  cpu, TorchScript fp32, best batch 64, started in 1.7 s  "
        "✓ inference mode  ! compilation  ! device  ✓ batching"
    )


def test_a_backend_of_the_user_s_own_is_named_without_its_folders() -> None:
    chosen = [{"backend": "path/to/own.py:build", "outcome": "chosen"}]
    assert "own.py:build fp32" in line("m", {**PROPERTIES, "candidates": chosen})


def test_what_was_waived_or_fell_back_is_told_in_a_sentence() -> None:
    assert details(PROPERTIES) == ("! compilation: not compared", "! device: auto found no GPU")


def test_metadata_without_properties_still_make_a_line() -> None:
    assert line("m", {}) == "m"


@pytest.mark.parametrize(
    "error, said",
    [
        (TokenError("it asks for a token", "put one into the variable"), "it asks for a token"),
        (OSError("full"), "full"),
    ],
)
def test_what_cannot_be_asked_is_ready_all_the_same_and_is_not_asked_again(
    error: Exception, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def find(_url: str) -> None:
        raise error

    monkeypatch.setattr(ready, "find", find)
    app: Any = SimpleNamespace(name="m")
    found = ready.asked(app, "http://localhost", Path(), lambda _: pytest.fail("it was asked again"))
    assert found.line == "m  is ready"
    assert said in " ".join(found.details)


@pytest.mark.parametrize(
    "options, expected",
    [
        ({}, "http://localhost:8000"),
        ({"host": "0.0.0.0", "port": 8080}, "http://localhost:8080"),
        ({"host": "10.0.0.7", "port": 80}, "http://10.0.0.7:80"),
    ],
)
def test_the_server_is_where_this_machine_reaches_it(options: dict[str, object], expected: str) -> None:
    assert address({"http_options": options, "applications": []}) == expected
