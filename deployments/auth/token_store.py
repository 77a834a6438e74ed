"""The valid tokens: from an environment variable, read once, or from a file, read again when it has changed.

So tokens rotate without a restart: add the new one, change the clients, remove the old one.
"""

import logging
import os
import time
from pathlib import Path

from configs.problems import ConfigError
from configs.schema import AuthConfig

from .tokens import Token, parse

_LOOK_EVERY_S = 1.0
_log = logging.getLogger("pitstop")


class TokenStore:
    """The tokens that are valid now.

    Raises:
        ConfigError: they cannot be read at the start. Later the last good ones stay, and the log says why.
    """

    def __init__(self, config: AuthConfig) -> None:
        self._path = Path(config.tokens_file).expanduser() if config.tokens_file else None
        self._stamp = _stamp(self._path)
        self._looked_s = time.monotonic()
        self._tokens = _read(config.tokens_env, self._path)

    def tokens(self) -> tuple[Token, ...]:
        """Return them; checks the file at most once a second."""
        if self._path is not None:
            now_s = time.monotonic()
            if now_s - self._looked_s >= _LOOK_EVERY_S:
                self._looked_s = now_s
                self._look()
        return self._tokens

    def _look(self) -> None:
        stamp = _stamp(self._path)
        if stamp == self._stamp:
            return
        self._stamp = stamp
        try:
            self._tokens = _read(None, self._path)
            _log.info("%s has changed: %d tokens are valid now", self._path, len(self._tokens))
        except ConfigError as error:
            _log.error("the tokens read before stay valid: %s", error)


def _stamp(path: Path | None) -> tuple[int, int, int] | None:
    """Return what changes when the file does, or the target of a symlink; None without a file."""
    try:
        stat = path.stat() if path is not None else None
    except OSError:
        return None
    return (stat.st_mtime_ns, stat.st_size, stat.st_ino) if stat is not None else None


def _read(variable: str | None, path: Path | None) -> tuple[Token, ...]:
    if path is None:
        assert variable is not None
        if variable not in os.environ:
            raise ConfigError(
                f"auth.tokens_env: the environment has no variable {variable}\n"
                "help: set it where Ray starts, on every node; or use tokens_file"
            )
        return parse(os.environ[variable], f"environment variable {variable}")
    try:
        return parse(path.read_text(encoding="utf-8"), str(path))
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(
            f"auth.tokens_file: {path} cannot be read ({type(error).__name__})\n"
            "help: every node that runs a replica needs it, readable for the user that runs Ray"
        ) from error
