import pytest

from configs.parse import parse_model, parse_root
from configs.problems import ConfigError


@pytest.mark.parametrize("auth", [{}, {"tokens_env": "A", "tokens_file": "b"}])
def test_tokens_come_from_exactly_one_place(auth: dict[str, str]) -> None:
    with pytest.raises(ConfigError, match="exactly one of tokens_env and tokens_file"):
        parse_root({"auth": auth})


@pytest.mark.parametrize("written", ["my-secret-token!", "a b", ""])
def test_a_token_itself_is_no_name_of_a_variable(written: str) -> None:
    with pytest.raises(ConfigError, match="tokens_env"):
        parse_root({"auth": {"tokens_env": written}})


def test_a_misspelt_key_is_told() -> None:
    with pytest.raises(ConfigError, match="did you mean 'tokens_file'"):
        parse_model({"auth": {"token_file": "x"}})
