"""What the terminal is told of a start that failed: our two lines, and nothing of what Serve wraps around them."""

import traceback

import pytest

from deployments.applications import in_short
from deployments.start_errors import starting
from models.errors import ModelError

TWO = "factory mine.net:Net raised SystemExit: 2 (mine/net.py, line 12)\nhelp: build the network and no more"


def as_serve_says(error: Exception) -> str:
    """Write a start's error as Serve does: replica.py has its traceback, deployment_state.py the sentences around."""
    try:
        try:
            with starting("m"):
                raise error
        except Exception:
            raise RuntimeError(traceback.format_exc()) from None
    except RuntimeError as wrapped:
        lines = "".join(traceback.format_exception(wrapped))
    return (
        "The deployment failed to start 3 times in a row. This may be due to a problem with its constructor or initial "
        f"health check failing. See controller logs for details. Error:\n\x1b[36mray::ServeReplica\x1b[39m\n{lines}"
    )


def test_of_serves_message_our_two_lines_are_left() -> None:
    assert in_short(["Failed to update the deployments ['Model'].", as_serve_says(ModelError(TWO))]) == TWO


def test_what_is_not_foreseen_is_told_in_two_lines_too(heard: pytest.LogCaptureFixture) -> None:
    first, second = in_short([as_serve_says(KeyError("x"))]).splitlines()
    assert first.startswith("the start of m raised KeyError: 'x' (tests/deployments/test_start_errors.py, line ")
    assert second == "help: the replica's log has the traceback"
    assert "Traceback" in heard.text


def test_a_message_without_one_of_our_errors_stays_whole() -> None:
    assert in_short([" waiting for a GPU\n"]) == "waiting for a GPU"
