"""One `serve run` for each of the three paths, for what a client may rely on whichever its request takes.

The first also has the README's own model, in a copy of the project; where that cannot serve, nothing here can.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.conftest import add_test_models
from tests.readme import cloned
from tests.serving import LONG, PROJECT, PROXY, SHORT, Serving, serve_run


@pytest.fixture(scope="package")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return cloned(tmp_path_factory.mktemp("clone"))


@pytest.fixture(scope="package", params=[SHORT, LONG, PROXY])
def serving(request: pytest.FixtureRequest, clone: Path, cache: object) -> Iterator[Serving]:  # noqa: ARG001
    folder = clone if request.param == SHORT else PROJECT
    with serve_run(folder / "serve_config.yaml", request.param, add_test_models, cwd=folder) as found:
        yield found
