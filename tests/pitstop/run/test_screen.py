"""What the terminal gets."""

import io
from pathlib import Path

import pytest

from pitstop.report.terminal import plain_console
from pitstop.run.ready import Ready
from pitstop.run.screen import Screen, sentence

LOG, CONFIG = Path("ray.log"), Path("serve_config.yaml")


@pytest.fixture
def shown() -> tuple[Screen, io.StringIO]:
    out = io.StringIO()
    return Screen(plain_console(file=out, markup=False, soft_wrap=True), LOG, CONFIG), out


def test_our_own_message_is_shown_as_it_is() -> None:
    assert (
        sentence("weights.pt: no such file\nhelp: check the path", LOG, CONFIG)
        == "weights.pt: no such file\nhelp: check the path"
    )


def test_of_a_traceback_only_the_last_line_is_shown_and_where_the_rest_is() -> None:
    text = "Traceback (most recent call last):\n  File x\nValueError: no\n"
    assert sentence(text, LOG, CONFIG) == "ValueError: no\nhelp: the traceback is in ray.log"


def test_of_a_process_that_died_it_says_how_to_find_out_why() -> None:
    text = "A replica failed to start with exception. Retrying 1 more time(s). Error:\nray\nActorDiedError()"
    said = "its process died while it started\nhelp: pitstop check serve_config.yaml --load says how"
    assert sentence(text, LOG, CONFIG).startswith(said)


def test_a_failure_without_a_message_names_the_log() -> None:
    assert "ray.log" in sentence("", LOG, CONFIG)


def test_the_summary_has_a_request_for_each_model_and_names_what_failed(shown: tuple[Screen, io.StringIO]) -> None:
    screen, out = shown
    screen.summary("http://localhost:8000", [Ready("a", "", (), "curl a"), Ready("b", "")], ["c"])
    assert out.getvalue() == "Ready at http://localhost:8000: a, b. Not served: c. Ctrl-C stops it.\n  curl a\n"


def test_without_a_model_it_says_so(shown: tuple[Screen, io.StringIO]) -> None:
    screen, out = shown
    screen.summary("http://localhost:8000", [], ["c"])
    assert out.getvalue() == "No model started. Not served: c.\n"
