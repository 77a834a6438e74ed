"""Tokens as they are written down, and those that are refused when they are read."""

import pytest

from configs.problems import ConfigError
from deployments.auth.tokens import find, parse

ONE, TWO = "one-" + "1" * 20, "two-" + "2" * 20


def test_a_token_opens_every_model_or_those_behind_it() -> None:
    tokens = parse(f"# ours\n\n{ONE}\n  {TWO}   digits,mlp \n", "here")
    first, second = find(tokens, ONE.encode()), find(tokens, TWO.encode())
    assert first is not None
    assert second is not None
    assert [first.opens(name) for name in ("digits", "other", None)] == [True, True, True]
    assert [second.opens(name) for name in ("digits", "mlp", "other", None)] == [True, True, False, True]


@pytest.mark.parametrize("given", [b"", ONE[:-1].encode(), ONE.encode() + b"x", ONE.upper().encode(), b"\xff"])
def test_nothing_but_the_whole_token_is_found(given: bytes) -> None:
    assert find(parse(ONE, "here"), given) is None


def test_no_token_itself_is_kept() -> None:
    assert ONE not in repr(parse(ONE, "here"))


@pytest.mark.parametrize(
    "text, told",
    [
        ("", "here: holds no token"),
        ("# nothing\n\n", "here: holds no token"),
        ("short", "here, line 1: the token is shorter than 16 characters"),
        (f"\n{ONE} a b", "here, line 2: has 3 words"),
        (f"{ONE} ,", "here, line 1: names no model"),
        (f"{ONE}\n{ONE} a", "here, line 2: the same token stands above"),
        ("ö" * 20, "here, line 1"),
    ],
)
def test_what_is_wrong_names_its_line_and_shows_no_token(text: str, told: str) -> None:
    with pytest.raises(ConfigError, match=told) as caught:
        parse(text, "here")
    assert ONE not in str(caught.value)
    assert "help: " in str(caught.value)
