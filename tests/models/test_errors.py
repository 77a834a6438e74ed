"""A ModelError says what and what to do; another exception is told in a line, with its type."""

import pickle

import pytest

from configs.problems import ConfigError
from models.errors import ArgumentsError, ModelError, first_line, without_folders
from models.startup.check_error import CheckError, failing
from models.startup.check_results import Failed, Padding


def test_a_model_error_has_two_parts() -> None:
    error = ModelError("the weights do not fit\nhelp: use those of this network")
    assert (error.what, error.help) == ("the weights do not fit", "use those of this network")
    assert (ModelError("no advice").what, ModelError("no advice").help) == ("no advice", "")


def test_an_error_of_arguments_says_how_a_config_gives_them_and_how_a_flag_does() -> None:
    for error in (found := ArgumentsError("{x} is off", "check {arguments}"), pickle.loads(pickle.dumps(found))):
        assert (str(error), error.what) == ("{x} is off\nhelp: check source.kwargs", "{x} is off")
        assert error.given_in("--arg") == "{x} is off\nhelp: check --arg"


@pytest.mark.parametrize(
    "error, said",
    [
        (ModelError("off by 2\nhelp: look"), "off by 2"),
        (ConfigError("args: name: is missing\nhelp: add it"), "args: name: is missing"),
        (RuntimeError("\n  the first line\nthe second"), "RuntimeError: the first line"),
        (KeyError(), "KeyError"),
        (ModelError(""), "ModelError"),
    ],
)
def test_an_exception_is_one_line_and_has_its_type_where_it_is_not_ours(error: Exception, said: str) -> None:
    assert first_line(error) == said


@pytest.mark.parametrize(
    "text, said",
    [
        ("index out of bounds: 0 <= 7, /srv/torch/include/ATen/x.h:12", "index out of bounds: 0 <= 7, x.h:12"),
        ("throw_if_zero, /srv/torch/include/", "throw_if_zero, "),
        ("('/srv/a.cpp', line 3)", "('a.cpp', line 3)"),
        ("1/2 of a/b/c at https://host/a/b", "1/2 of a/b/c at https://host/a/b"),
    ],
)
def test_a_text_for_a_client_has_file_names_and_no_folders(text: str, said: str) -> None:
    assert without_folders(text) == said


def test_what_fails_in_a_check_becomes_its_error_and_keeps_what_led_to_it() -> None:
    cause = ValueError("the network's own")
    with pytest.raises(CheckError) as caught, failing(Padding):
        raise ModelError("it reads its padding\nhelp: mask it") from cause
    assert caught.value.result == Failed("padding", 1, "it reads its padding")
    assert caught.value.__cause__ is cause
    with pytest.raises(CheckError) as inner, failing(Padding):
        raise caught.value
    assert inner.value is caught.value


def test_a_failed_check_reaches_another_process_whole() -> None:
    error = CheckError("it reads its padding\nhelp: mask it", Failed("padding", 1, "it reads its padding"))
    found = pickle.loads(pickle.dumps(error))
    assert (str(found), found.result) == (str(error), error.result)
