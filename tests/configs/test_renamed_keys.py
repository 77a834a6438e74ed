"""The old name of a key is refused, and the message has the new one."""

from typing import Any

import pytest

from configs.loader import parse_model, parse_tunables
from configs.problems import ConfigError

SOURCE = {"factory": "a:b"}
TENSOR = {"name": "x", "datatype": "FP32", "shape": [-1, 1]}


def model(**more: Any) -> dict[str, Any]:
    return {"name": "net", "source": SOURCE, "inputs": [TENSOR], "outputs": [TENSOR], **more}


@pytest.mark.parametrize(
    "args, message",
    [
        ({"max_rows": 8}, "max_rows: called max_batch_size now"),
        ({"access": {"tokens_env": "A"}}, "access: called auth now"),
        ({"predict": {"image": "a:b"}}, "predict.image: called decode now"),
        ({"predict": {"answer": "a:b"}}, "predict.answer: called encode now"),
        ({"source": {"export": "a.pt2"}}, "source.export: called exported_program now"),
    ],
)
def test_an_old_key_of_args_is_refused_with_its_new_name(args: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        parse_model(model(**args))


@pytest.mark.parametrize(
    "key, value, new",
    [
        ("max_rows", 8, "max_batch_size now"),
        ("wait_ms", 5, "batch_wait_timeout_s now\nhelp: write the new name, and the value in seconds"),
        ("max_queued_rows", 8, "max_queue_size"),
        ("timeout_s", 5, "request_timeout_s"),
        ("hang_s", 5, "forward_timeout_s"),
        ("check_outputs", True, "check_finite"),
    ],
)
def test_an_old_key_of_user_config_is_refused_with_its_new_name(key: str, value: object, new: str) -> None:
    with pytest.raises(ConfigError, match=f"{key}: called {new}"):
        parse_tunables({key: value})
