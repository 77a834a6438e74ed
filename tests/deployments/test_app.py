"""What builds an application says where a package of the user's hides one of ours, before it imports either."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("package", ["configs", "models"])
@pytest.mark.parametrize("builder", ["model", "root"])
def test_a_package_of_the_users_that_comes_first_is_refused_in_a_sentence(
    tmp_path: Path, package: str, builder: str
) -> None:
    (tmp_path / package).mkdir()
    (tmp_path / package / "__init__.py").write_text("raise RuntimeError('imported')\n")
    # As `serve run` has it: its folder first.
    code = f"import sys; sys.path.insert(0, '.'); from deployments import app; app.{builder}({{}})"
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(PROJECT)},
        capture_output=True,
        text=True,
        check=False,
    )
    *_, what, help_ = done.stderr.strip().splitlines()
    taken = f"the name is taken by a package of pitstop itself, {PROJECT / package}"
    assert what == f"ImportError: {package} comes from {tmp_path / package}, but {taken}"
    assert help_.startswith("help: start `serve run` in the project's root, and name your code by its file")
