"""The request that is printed for a model: short where it can be, a file where not, and tried before it is shown."""

from pathlib import Path
from typing import Any

import pytest

from configs.loader import ModelApp
from configs.schema import ModelConfig, Tunables
from pitstop.load.sender_http import Address
from pitstop.load.target import Target
from pitstop.run import curl as subject
from pitstop.run.curl import curl

PROJECT = Path(__file__).resolve().parents[3]
URL = "http://localhost:8000/v2/models/m"


@pytest.fixture
def refused(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """Answers by path: what is wrong with a request there; none is sent."""
    found: dict[str, str] = {}
    monkeypatch.setattr(subject, "_refused", lambda call: found.get(call.url.rpartition("/")[2]))
    monkeypatch.delenv("PITSTOP_TOKEN", raising=False)
    return found


def app(**args: Any) -> ModelApp:
    tensors = [{"name": "x", "datatype": "FP32", "shape": [-1, 3]}]
    config = {"name": "m", "source": {"factory": "a.b:C"}, "inputs": tensors, "outputs": tensors, **args}
    return ModelApp("m", "/v2/models/m", ModelConfig.model_validate(config), Tunables(), {}, {})


def target(datatype: str, shape: list[int], **properties: Any) -> Target:
    inputs = ({"name": "x", "datatype": datatype, "shape": shape},)
    return Target(URL, "m", "", Address("localhost", 8000, False), inputs, properties)


@pytest.mark.usefixtures("refused")
def test_a_short_request_stands_in_the_line(tmp_path: Path) -> None:
    found = curl(app(), target("FP32", [-1, 3]), tmp_path)
    assert found.startswith(
        f"curl {URL}/infer -d '" + '{"inputs":[{"name":"x","shape":[1,3],"datatype":"FP32","data":['
    )
    assert found.endswith("]}]}'")


@pytest.mark.usefixtures("refused")
def test_the_example_of_the_metadata_is_taken(tmp_path: Path) -> None:
    example = {"inputs": [{"name": "x", "datatype": "BYTES", "shape": [1, 1], "data": ["it's fine"]}]}
    found = curl(app(), target("BYTES", [-1, 1], example=example), tmp_path)
    assert """"data":["it'"'"'s fine"]""" in found


@pytest.mark.usefixtures("refused")
def test_a_long_request_goes_to_a_file(tmp_path: Path) -> None:
    found = curl(app(), target("FP32", [-1, 3, 224, 224]), tmp_path)
    assert found == f"curl {URL}/infer --data-binary @{tmp_path / 'm.json'}"
    assert (tmp_path / "m.json").read_text().startswith('{"inputs":')


@pytest.mark.usefixtures("refused")
def test_what_has_no_json_is_sent_as_bytes(tmp_path: Path) -> None:
    found = curl(app(), target("FP16", [-1, 3]), tmp_path)
    assert "-H 'Inference-Header-Content-Length: " in found
    assert found.endswith(f"--data-binary @{tmp_path / 'm.bin'} --output answer.bin")


@pytest.mark.usefixtures("refused")
def test_a_picture_that_the_config_names_is_sent_to_predict(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my photo.png").write_bytes(b"png")
    found = curl(app(example="my photo.png"), target("UINT8", [-1, 3, -1, -1]), tmp_path)
    assert found == f"curl {URL}/predict --data-binary @'my photo.png'"


@pytest.mark.usefixtures("refused")
def test_the_digits_have_a_picture_of_their_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(PROJECT)
    digits = app(predict={"decode": "models.zoo.digits_image:read_image"})
    found = curl(digits, target("UINT8", [-1, 1, 8, 8]), tmp_path)
    assert found == f"curl {URL}/predict --data-binary @examples/seven.png"


@pytest.mark.usefixtures("refused")
def test_a_token_stands_there_as_its_variable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PITSTOP_TOKEN", "secret")
    found = curl(app(), target("FP32", [-1, 1]), tmp_path)
    assert '-H "Authorization: Bearer $PITSTOP_TOKEN"' in found
    assert "secret" not in found


def test_a_request_that_is_refused_is_not_shown(tmp_path: Path, refused: dict[str, str]) -> None:
    refused["infer"] = "it answers 400: no"
    found = curl(app(), target("FP32", [-1, 3]), tmp_path)
    assert found == f"curl {URL} # no request of ours fits: it answers 400: no"


def test_where_the_picture_is_refused_tensors_are_tried(tmp_path: Path, refused: dict[str, str]) -> None:
    refused["predict"] = "it answers 400: no"
    digits = app(predict={"decode": "models.zoo.digits_image:read_image"})
    assert curl(digits, target("UINT8", [-1, 3]), tmp_path).startswith(f"curl {URL}/infer -d ")
