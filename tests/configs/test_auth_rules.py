from collections.abc import Callable

from configs.problems import Problem

Lint = Callable[..., list[Problem]]
ACCESS = {"tokens_env": "TOKENS"}
ROOT, DIGITS, CPU = (f"applications__{index}__args__auth" for index in range(3))


def test_all_or_none_of_the_applications_may_ask_for_a_token(changed: Lint) -> None:
    assert changed() == []
    assert changed(**{ROOT: ACCESS, DIGITS: ACCESS, CPU: ACCESS}) == []


def test_one_that_stands_open_beside_others_is_told(changed: Lint) -> None:
    [first, second] = changed(**{DIGITS: ACCESS})
    assert first.where == "applications[0] (root).args.auth"
    assert second.where == "applications[2] (digits-cpu).args.auth"
    assert {first.severity, second.severity} == {"warning"}
    assert "this application answers everyone, but digits requires a token" in second.what
