"""What a soak does is drawn from its seed, and what it tells fits what was seen."""

from dataclasses import asdict
from itertools import islice
from typing import Any

import pytest

from benchmarks.soaking import formatting, harm, picture
from benchmarks.soaking.watch import Look, drift

LOOKS = [
    Look(5.0 * n, 1500 + n, 900, 25 + n % 3, 60 + n % 7, 200, {"gcs_server": 40 + n, "raylet": 60.0})
    for n in range(200)
]
EVENTS: list[dict[str, Any]] = [
    {"kind": "replica killed", "model": "line", "at_s": 60.0, "recovered_s": 9.0},
    {
        "kind": "burst",
        "model": "other",
        "at_s": 300.0,
        "recovered_s": 6.0,
        "sent": 9,
        "refused": 4,
        "failed": 0,
        "wrong": 0,
    },
    {"kind": "rollout", "model": "line", "at_s": 700.0, "recovered_s": None, "version": 2},
]


@pytest.fixture
def soaked(record: dict[str, Any]) -> dict[str, Any]:
    return record | {
        "seed": 1,
        "minutes": 16.6,
        "stopped": True,
        "streams": [{"stream": "line, json, 1 row", "sent": 4000, "failed": 1, "wrong": 0, "retried": 12}],
        "events": EVENTS,
        "drift": drift(LOOKS),
        "looks": [asdict(look) for look in LOOKS],
    }


def test_a_seed_does_the_same_harm_every_time() -> None:
    first, again, other = (list(islice(harm.plan(seed), 50)) for seed in (1, 1, 2))
    assert first == again != other
    assert {each.kind for each in first} == {"replica killed", "rollout", "settings", "burst"}


def test_drift_is_what_grew_between_the_first_and_the_last_fifth() -> None:
    found = drift(LOOKS)
    # A MiB every five seconds.
    assert found["rest_mib_an_hour"] == pytest.approx(720)
    assert found["parts_mib_an_hour"] == pytest.approx({"gcs_server": 720, "raylet": 0})
    assert found["p50_ms_first"] == found["p50_ms_last"] == 26


def test_too_little_to_speak_of_drift_has_none() -> None:
    assert drift(LOOKS[:2]) == {}


def test_it_tells_what_failed_what_was_done_and_that_it_was_stopped(soaked: dict[str, Any]) -> None:
    text = formatting.markdown(soaked, "soak.png")
    assert "4,000 requests in 16.6 minutes: 1 failed, 0 wrong, 12 sent again; 3 faults injected; stopped early." in text
    assert "| gcs_server |" not in text
    assert "| rollout | 1 |  |  | 1 |" in text
    assert "| replica killed | 1 | 9.0 s | 9.0 s | 0 |" in text


def test_a_long_soak_names_the_processes_that_grew(soaked: dict[str, Any]) -> None:
    text = formatting.markdown({**soaked, "minutes": 60.0}, "soak.png")
    assert "| gcs_server | 720.0 |" in text
    assert "| raylet |" not in text


def test_the_picture_is_drawn_however_little_there_is(soaked: dict[str, Any]) -> None:
    assert picture.png("A soak", formatting.verdict(soaked), LOOKS, EVENTS).startswith(b"\x89PNG")
    assert picture.png("A soak", "", [], []).startswith(b"\x89PNG")
