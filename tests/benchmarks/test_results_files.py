"""The results files of the servers stay readable: `--again` measures a part of one anew."""

import pytest

from benchmarks import results
from benchmarks.script import RESULTS

FILES = sorted(RESULTS.glob("servers_*.json"))


@pytest.mark.parametrize("name", [path.name for path in FILES])
def test_a_committed_file_is_read_back_whole(name: str) -> None:
    assert results.read(RESULTS / name).servers
