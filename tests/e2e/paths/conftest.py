"""One `serve run` for each of the three paths, for what a client may rely on whichever its request takes."""

from collections.abc import Iterator

import pytest

from tests.e2e.conftest import add_test_models
from tests.serving import LONG, PROJECT, PROXY, SHORT, Serving, serve_run


@pytest.fixture(scope="package", params=[SHORT, LONG, PROXY])
def serving(request: pytest.FixtureRequest, cache: object) -> Iterator[Serving]:  # noqa: ARG001
    with serve_run(PROJECT / "serve_config.yaml", request.param, add_test_models) as found:
        yield found
