from collections.abc import Callable
from pathlib import Path

import pytest

from configs.problems import Problem

Lint = Callable[..., list[Problem]]
ARGS = "applications__1__args__"


def test_looking_for_a_callable_imports_nothing(changed: Lint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "lintme"
    package.mkdir()
    (package / "__init__.py").write_text("raise RuntimeError('imported')")
    (package / "net.py").write_text(
        "raise RuntimeError('imported')\ntry:\n    import x as Net\nexcept ImportError:\n    Other = 1"
    )
    monkeypatch.syspath_prepend(tmp_path)
    assert changed(**{ARGS + "source__factory": "lintme.net:Net"}) == []
    assert changed(**{ARGS + "source__factory": "lintme.net:Other"}) == []
    assert len(changed(**{ARGS + "source__factory": "lintme.net:Nothing"})) == 1


@pytest.mark.parametrize(
    "path, value, told",
    [
        (ARGS + "source__weights", "no/such.safetensors", ("source.weights", "no such file", "the project's root")),
        (
            ARGS + "source__factory",
            "models.zoo.digts:Digits",
            ("source.factory", "no module models.zoo.digts", "spelling"),
        ),
        (ARGS + "source__factory", "no_such_package.net:Net", ("source.factory", "no module", "check its spelling")),
        (
            ARGS + "source__factory",
            "models.zoo.digits:Digit",
            ("source.factory", "has no 'Digit'", "did you mean 'Digits'?"),
        ),
        (
            ARGS + "predict__answer",
            "models.zoo.digits_image:answr",
            ("predict.answer", "has no", "did you mean 'answer'?"),
        ),
        (ARGS + "preprocess", "models.zoo.nothing:f", ("args.preprocess", "there is no module", "models/zoo/")),
    ],
)
def test_what_a_config_points_at_and_is_not_there_is_named(
    changed: Lint, path: str, value: object, told: tuple[str, str, str]
) -> None:
    where, what, help_ = told
    found = [problem for problem in changed(**{path: value}) if problem.where.endswith(where) and what in problem.what]
    assert len(found) == 1
    assert help_ in found[0].help
    assert found[0].severity == "error"
