"""`pitstop load` against real servers: it agrees with wrk, and shows the stall that a closed loop hides."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from rich.console import Console

from pitstop.load.main import DONE, STOPPED, UNUSABLE, LoadOptions, load, measure
from pitstop.load.plan import Plan
from tests.pitstop.paced import WRK, asked, paced, wrk
from tests.serving import free_port

_ROUNDS = range(4, 13)


@pytest.mark.skipif(WRK is None, reason="wrk is not installed")
@pytest.mark.timing
def test_agrees_with_wrk_on_closed_loop_throughput(tmp_path: Path) -> None:
    ours, theirs = 0.0, 0.0
    # Between an answer and the next request asyncio takes some tenths of a millisecond, wrk in C next to nothing.
    with paced(ms=10) as url:
        # Whatever else runs on the machine only takes away, so each tool is held to the best of its turns.
        for turn in range(_ROUNDS.stop):
            _, summary = measure(LoadOptions(url, Plan(connections=8, seconds=2, warmup_s=0.2)))
            ours = max(ours, summary.answered_rps)
            theirs = max(theirs, wrk(url, 8, 2, tmp_path))
            if turn >= _ROUNDS.start and abs(ours / theirs - 1) < 0.05:
                break
    assert ours == pytest.approx(theirs, rel=0.05)


@pytest.mark.timing
def test_open_loop_shows_a_stall_that_closed_loop_hides() -> None:
    with paced(ms=1, stall_ms=200, every_s=1.8) as url:
        _, opened = measure(LoadOptions(url, Plan(rate_rps=200, seconds=8)))
        _, closed = measure(LoadOptions(url, Plan(connections=1, seconds=8)))
    shown, hidden = opened.level(0.99), closed.level(0.99)
    assert shown is not None
    assert hidden is not None
    assert hidden.value < 100 < shown.value


def test_what_it_finds_is_printed_and_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with paced(ms=1) as url:
        status = load(
            LoadOptions(url, Plan(rate_rps=200, seconds=1, warmup_s=0.1), "json", written=tmp_path / "x.json"),
            Console(),
        )
    assert status == DONE
    found = json.loads((tmp_path / "x.json").read_text())
    assert found["mode"] == "open"
    assert found["answered"] > 100
    assert [each["level"] for each in found["percentiles"]] == [0.5, 0.9, 0.99, 0.999]
    assert "p99.9" in capsys.readouterr().out


def test_json_to_a_hyphen_is_all_that_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    with paced(ms=1) as url:
        status = load(LoadOptions(url, Plan(rate_rps=200, seconds=0.5, warmup_s=0.1), written=Path("-")), Console())
    assert status == DONE
    assert json.loads(capsys.readouterr().out)["answered"] > 20


def test_errors_are_counted_by_kind_and_hidden_only_by_retries() -> None:
    with paced(ms=1, failing=10, retry_after=True) as url:
        _, plain = measure(LoadOptions(url, Plan(rate_rps=300, seconds=1, warmup_s=0)))
        _, retried = measure(LoadOptions(url, Plan(rate_rps=300, seconds=1, warmup_s=0, retries=9)))
    assert 0.05 < plain.failed_share < 0.15
    assert list(plain.errors) == ["HTTP 503"]
    assert retried.errors == {}
    assert retried.retried > 10


def test_a_server_that_never_answers_in_time_shows_as_timeouts_and_in_the_percentiles() -> None:
    with paced(ms=1, stall_ms=900, every_s=0.5) as url:
        _, found = measure(LoadOptions(url, Plan(rate_rps=100, seconds=3, warmup_s=0, timeout_s=0.3)))
    assert found.errors["timeout"] > 10
    assert found.max_ms >= 300


def test_ctrl_c_prints_what_was_measured_so_far() -> None:
    with paced(ms=1) as url:
        command = [sys.executable, "-m", "pitstop", "load", url, "-s", "600", "--rate", "100", "--warmup", "0"]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        deadline = time.monotonic() + 60
        while asked(url) < 100:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        os.kill(process.pid, signal.SIGINT)
        said, _ = process.communicate(timeout=60)
    assert process.returncode == STOPPED
    assert "stopped by Ctrl-C" in said
    assert "p99" in said


@pytest.mark.parametrize(
    "url, said",
    [
        ("127.0.0.1:8000", "is not the URL of a model"),
        ("ftp://127.0.0.1/v2/models/x", "is not the URL of a model"),
        ("http://127.0.0.1:99999/v2/models/x", "is not the URL of a model"),
        ("http://127.0.0.1:{free}", "names no model"),
        ("http://127.0.0.1:{free}/v2/models/x", "nothing listens"),
        ("http://no.such.host.invalid/v2/models/x", "there is no host"),
        ("{paced}er", "serves no model"),
    ],
)
def test_a_wrong_url_is_told_in_one_sentence_with_a_way_out(
    url: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with paced(ms=1) as running:
        status = load(LoadOptions(url.format(free=free_port(), paced=running)))
    assert status == UNUSABLE
    errors = capsys.readouterr().err
    assert said in errors
    assert "help: " in errors
    assert "Traceback" not in errors


def test_settings_that_cannot_be_are_refused_before_anything_is_sent(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for options in (
        LoadOptions("http://x", Plan(rate_rps=-1)),
        LoadOptions("http://x", written=tmp_path / "no" / "x.json"),
    ):
        assert load(options) == UNUSABLE
    assert "--rate is -1" in capsys.readouterr().err
