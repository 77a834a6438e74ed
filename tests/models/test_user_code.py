"""Whatever user code raises is an Exception by the time it leaves its border, and a start says what and where."""

import asyncio
import sys
import threading
from pathlib import Path

import pytest

from configs.schema import SourceConfig
from models.errors import ModelError
from models.sources import source
from models.sources.hooks import make_hook
from models.sources.resolve import resolve
from models.user_code import _NOT_THE_USERS, UserCodeError, call, described
from tests.serving import PROJECT


def raising(error: BaseException) -> object:
    raise error


@pytest.mark.parametrize(
    "error",
    [
        SystemExit(3),
        asyncio.CancelledError(),
        GeneratorExit(),
        StopIteration(),
        StopAsyncIteration(),
        BaseException("x"),
    ],
)
def test_what_would_end_a_thread_or_a_loop_becomes_an_exception_with_its_cause(error: BaseException) -> None:
    with pytest.raises(UserCodeError, match=type(error).__name__) as raised:
        call(raising, error)
    assert raised.value.__cause__ is error


def test_a_line_of_the_users_is_told_before_one_of_this_project() -> None:
    with pytest.raises(ZeroDivisionError) as raised:
        call(lambda: call(lambda: 1 / 0))
    assert described(raised.value).endswith(f"(tests/models/test_user_code.py, line {raised.traceback[-1].lineno + 1})")
    for file in ("models/startup/examples.py", "deployments/service.py", "configs/schema.py", "pitstop/cli.py"):
        assert str(PROJECT / file).startswith(_NOT_THE_USERS), file
    assert not str(PROJECT / "models" / "zoo" / "mine.py").startswith(_NOT_THE_USERS)


@pytest.mark.parametrize("error", [ValueError("no"), NotImplementedError(), MemoryError()])
def test_an_ordinary_exception_passes_as_it_is(error: Exception) -> None:
    with pytest.raises(type(error)) as raised:
        call(raising, error)
    assert raised.value is error


def test_ctrl_c_passes_in_the_main_thread_alone() -> None:
    with pytest.raises(KeyboardInterrupt):
        call(raising, KeyboardInterrupt())
    found: list[BaseException] = []

    def elsewhere() -> None:
        try:
            call(raising, KeyboardInterrupt())
        except Exception as error:
            found.append(error)

    thread = threading.Thread(target=elsewhere)
    thread.start()
    thread.join()
    assert [type(each) for each in found] == [UserCodeError]


def test_what_is_told_names_the_users_own_line_and_not_the_librarys() -> None:
    with pytest.raises(UserCodeError) as raised:
        call(lambda: __import__("argparse").ArgumentParser().parse_args(["--no-such-option"]))
    assert described(raised.value).startswith("SystemExit: 2 (tests/models/test_user_code.py, line ")


def test_a_factory_that_ends_the_process_is_told_in_two_lines() -> None:
    with pytest.raises(ModelError) as raised:
        source.load(SourceConfig.model_validate({"factory": "tests.services.bad:exiting"}))
    first, second = str(raised.value).splitlines()
    assert first.startswith("factory tests.services.bad:exiting raised SystemExit: 2 (tests/services/bad.py, line ")
    assert second.startswith("help: ")


@pytest.mark.parametrize(
    "text, said",
    [
        ("import argparse\nargparse.ArgumentParser().parse_args(['x'])\n", "raised SystemExit: 2 (/"),
        ("raise KeyboardInterrupt\n", "raised KeyboardInterrupt (/"),
        ("1 / 0\n", "raised ZeroDivisionError: division by zero (/"),
        ("import os\nos.no_such\n", "raised AttributeError: module 'os' has no attribute 'no_such' (/"),
        ("import no_such_module\n", "what it imports was not: No module named 'no_such_module'\nhelp: install what"),
        ("", "has no 'Net'\nhelp: check the name"),
    ],
)
def test_a_module_that_cannot_be_imported_says_what_raised_and_where(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, said: str
) -> None:
    name = f"imported_{abs(hash(text))}"
    (tmp_path / f"{name}.py").write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    found: list[str] = []

    def elsewhere() -> None:  # As in a replica: not in the main thread.
        try:
            resolve(f"{name}:Net")
        except ModelError as error:
            found.append(str(error))

    thread = threading.Thread(target=elsewhere)
    thread.start()
    thread.join()
    sys.modules.pop(name, None)
    assert said in found[0]
    assert len(found[0].splitlines()) == 2


def test_a_preprocess_that_is_the_hook_itself_is_told_what_it_must_be() -> None:
    with pytest.raises(ModelError, match=r"preprocess tests\.services\.bad:_exits raised TypeError"):
        make_hook("preprocess", "tests.services.bad:_exits")
