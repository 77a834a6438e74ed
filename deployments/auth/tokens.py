"""Reads tokens, one a line: the token alone, or the token and the models that it opens.

Only their SHA-256 is kept. A look-up compares all of them, so it takes the same time whichever one matches.
"""

import hashlib
import hmac
from collections.abc import Iterable
from dataclasses import dataclass

from configs.problems import ConfigError

# 16 random letters and digits have 95 bits; a shorter token is mostly a word that somebody made up.
_SHORTEST = 16
_HELP = "write one token a line, each at least 16 characters without a space; models behind it: `TOKEN one,two`"


@dataclass(frozen=True, slots=True)
class Token:
    """The digest of a token, and the models that it opens; None for all of them."""

    digest: bytes
    models: frozenset[str] | None

    def opens(self, model: str | None) -> bool:
        """Return whether it opens a model; None stands for the server's own pages, which any token opens."""
        return model is None or self.models is None or model in self.models


def parse(text: str, where: str) -> tuple[Token, ...]:
    """Read tokens; empty lines and lines that begin with # are skipped.

    Raises:
        ConfigError: there is no token, or a line is wrong. The error names the line and never shows its text.
    """
    tokens: dict[bytes, Token] = {}
    for number, line in enumerate(text.splitlines(), 1):
        words = line.split()
        if not words or words[0].startswith("#"):
            continue
        token = _token(words, f"{where}, line {number}")
        if token.digest in tokens:
            raise ConfigError(f"{where}, line {number}: the same token stands above\nhelp: keep one of them")
        tokens[token.digest] = token
    if not tokens:
        raise ConfigError(f"{where}: holds no token, so nobody could ask anything\nhelp: {_HELP}")
    return tuple(tokens.values())


def find(tokens: Iterable[Token], given: bytes) -> Token | None:
    """Return the token that these bytes are, in constant time."""
    digest = hashlib.sha256(given).digest()
    match = None
    for token in tokens:
        if hmac.compare_digest(token.digest, digest):
            match = token
    return match


def _token(words: list[str], where: str) -> Token:
    secret, *scopes = words
    if len(secret) < _SHORTEST or not secret.isascii():
        raise ConfigError(f"{where}: the token is shorter than {_SHORTEST} characters, or not ASCII\nhelp: {_HELP}")
    if len(scopes) > 1:
        raise ConfigError(f"{where}: has {len(words)} words\nhelp: {_HELP}")
    models = frozenset(name for name in scopes[0].split(",") if name) if scopes else None
    if models is not None and not models:
        raise ConfigError(f"{where}: names no model behind the token\nhelp: {_HELP}")
    return Token(hashlib.sha256(secret.encode()).digest(), models)
