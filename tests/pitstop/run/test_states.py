"""What is new in the states of applications."""

import pytest

from pitstop.run.states import News, State, news, own_pages, states

STARTS = State("m", "DEPLOYING", ready=False, settled=False, failed=False)
READY = State("m", "RUNNING", ready=True, settled=True, failed=False)
ROLLS = State("m", "DEPLOYING", ready=True, settled=False, failed=False)
FAILED = State("m", "DEPLOY_FAILED", ready=False, settled=True, failed=True, message="why")
KEPT = State("m", "DEPLOY_FAILED", ready=True, settled=True, failed=False, message="why")
NO_ROOM = State("m", "DEPLOYING", ready=False, settled=False, failed=False, no_room=True, message="no room")


@pytest.mark.parametrize(
    "before, now, expected",
    [
        (None, STARTS, []),
        (STARTS, READY, [News("ready", "m")]),
        (READY, READY, []),
        (READY, ROLLS, []),
        (ROLLS, READY, [News("ready", "m")]),
        (STARTS, FAILED, [News("failed", "m", "why")]),
        (FAILED, FAILED, []),
        (ROLLS, KEPT, [News("kept", "m", "why")]),
        (STARTS, NO_ROOM, [News("no_room", "m", "no room")]),
        (NO_ROOM, READY, [News("ready", "m")]),
    ],
)
def test_each_change_is_news_once(before: State | None, now: State, expected: list[News]) -> None:
    assert news({"m": before} if before else {}, {"m": now}) == expected


def test_what_the_server_tells_beyond_a_state_is_left_out() -> None:
    told = {"name": "m", "status": "RUNNING", "ready": True, "settled": True, "failed": False}
    [state] = states([{**told, "no_room": False, "message": "", "replicas": 1, "version": "1"}]).values()
    assert state == READY


def test_root_applications_are_no_models() -> None:
    apps = [
        {"name": "pages", "import_path": "deployments.app:root"},
        {"name": "m", "import_path": "deployments.app:model"},
    ]
    assert own_pages({"applications": apps}) == {"pages"}
