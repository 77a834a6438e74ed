"""Where tokens come from, and that they rotate without a restart."""

import logging
import os
from pathlib import Path

import pytest

from configs.problems import ConfigError
from configs.schema import AuthConfig
from deployments.auth import token_store
from deployments.auth.token_store import TokenStore
from deployments.auth.tokens import find

OLD, NEW = "old-" + "1" * 20, "new-" + "2" * 20


def known(tokens: TokenStore) -> list[bool]:
    return [find(tokens.tokens(), each.encode()) is not None for each in (OLD, NEW)]


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(token_store, "_LOOK_EVERY_S", 0.0)
    found = tmp_path / "tokens"
    found.write_text(OLD)
    return found


def write(path: Path, text: str) -> None:
    """Write so that the file is another, as an editor or a mounted secret does."""
    beside = path.with_suffix(".new")
    beside.write_text(text)
    beside.replace(path)


def test_tokens_of_a_variable_are_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOKENS", f"{OLD}\n{NEW}")
    assert known(TokenStore(AuthConfig(tokens_env="TOKENS", tokens_file=None))) == [True, True]


def test_a_token_rotates_without_a_restart(path: Path) -> None:
    tokens = TokenStore(AuthConfig(tokens_file=str(path), tokens_env=None))
    assert known(tokens) == [True, False]
    write(path, f"{OLD}\n{NEW}")
    assert known(tokens) == [True, True]
    write(path, NEW)
    assert known(tokens) == [False, True]


@pytest.mark.parametrize("broken", ["", "short", None])
def test_a_file_that_breaks_later_leaves_the_last_good_tokens(
    path: Path, broken: str | None, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logging.getLogger("pitstop"), "propagate", True)
    tokens = TokenStore(AuthConfig(tokens_file=str(path), tokens_env=None))
    if broken is None:
        path.unlink()
    else:
        write(path, broken)
    assert known(tokens) == [True, False]
    assert known(tokens) == [True, False]
    # After log_format.set_up, pytest listens at the logger too, and the same record is there twice.
    [_] = {record for record in caplog.records if "stay valid" in record.message}
    write(path, NEW)
    assert known(tokens) == [False, True]


def test_the_file_is_looked_at_once_a_second_at_most(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(token_store, "_LOOK_EVERY_S", 3600.0)
    tokens = TokenStore(AuthConfig(tokens_file=str(path), tokens_env=None))
    write(path, NEW)
    assert known(tokens) == [True, False]


def test_a_source_that_is_not_there_is_told_at_the_start(tmp_path: Path) -> None:
    assert "NO_SUCH_TOKENS" not in os.environ
    with pytest.raises(ConfigError, match=r"no variable NO_SUCH_TOKENS\nhelp: "):
        TokenStore(AuthConfig(tokens_env="NO_SUCH_TOKENS", tokens_file=None))
    with pytest.raises(ConfigError, match=r"cannot be read \(FileNotFoundError\)\nhelp: "):
        TokenStore(AuthConfig(tokens_file=str(tmp_path / "gone"), tokens_env=None))
