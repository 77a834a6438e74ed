"""On the installed Ray every private name is as expected, and inference is answered ahead of Serve's wrapper."""

import pytest
import requests

from deployments.ray_compat.table import PARTS
from tests.e2e.clients import BODY
from tests.serving import Serving

pytestmark = pytest.mark.ray


def test_no_part_is_lost(serving: Serving) -> None:
    assert [part.noun for part in PARTS if part.lost in serving.log] == []


@pytest.mark.parametrize("name", ["slow", "blocks"])
def test_a_request_does_not_go_through_serve_s_wrapper(serving: Serving, name: str) -> None:
    answer = requests.post(f"{serving.model(name)}/infer", json=BODY, timeout=20)
    assert answer.status_code == 200, answer.text
    # Serve's wrapper gives each request an id.
    assert "x-request-id" not in answer.headers


def test_the_terminal_of_serve_run_says_where_ray_s_dashboard_is(serving: Serving) -> None:
    # The last of what it says, below Ray's own lines.
    serving.wait_for("  Ray's dashboard: http://127.0.0.1:", timeout_s=20)
