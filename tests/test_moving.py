"""docs/from-*.md: each service answers with pitstop as it does on the server that it comes from.

The code of the other servers is run as the pages show it. FastAPI is there; of the others other_servers.py has a part.
"""

import base64
import json
import re
import struct
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import requests
from safetensors.torch import load_file
from starlette.testclient import TestClient

from configs.loader import load
from examples.moved import fastapi_app, pictures, same
from models.signature import Array, signature_of
from models.sources.resolve import resolve
from models.startup.open_model import open_model
from models.zoo import digits
from pitstop.check.main import check_files
from tests.deployments.fake_service import FakeService, ask
from tests.moved import FOLDER, PAGES, blocks, here, moved
from tests.other_servers import TritonTensor, loaded
from tests.serving import PROJECT

PICTURES = [(PROJECT / "examples" / name).read_bytes() for name in ("seven.png", "three-inverted.png")]
JSON = {"Content-Type": "application/json"}
# What a table may name beside settings: parameters of a request, and what stands in the user's own code.
NO_SETTINGS = {"parameters", "priority", "forward", "read"}


@pytest.mark.parametrize("page", PAGES)
def test_the_page_shows_its_files_as_they_are(page: str) -> None:
    shown = [text.partition("\n") for _, text in blocks(page) if text.startswith("# examples/moved/")]
    assert shown
    for first, _, content in shown:
        assert content == (PROJECT / first.removeprefix("# ")).read_text()


@pytest.mark.parametrize("page", PAGES)
def test_every_block_of_python_compiles(page: str) -> None:
    for kind, text in blocks(page):
        if kind == "python":
            compile(text, page, "exec")


@pytest.mark.parametrize("page", [page for page in PAGES if page != "moving"])
def test_every_setting_that_the_table_names_is_one(page: str) -> None:
    schema = json.loads((PROJECT / "configs" / "schema.json").read_text())
    known = {*_words(schema), *NO_SETTINGS}
    named = [
        name for cell in here(page) for name in re.findall(r"`([a-z_0-9]+(?:\[\])?(?:\.[a-z_]+)*)(?:: \S+)?`", cell)
    ]
    assert len(named) > 15
    assert [name for name in named if not set(name.replace("[]", "").split(".")) <= known] == []


def _words(schema: object) -> Iterator[str]:
    """Yield every key and every choice of a JSON schema."""
    if isinstance(schema, dict):
        yield from schema.get("properties", {})
        yield from (each for each in schema.get("enum", ()) if isinstance(each, str))
    for inner in schema.values() if isinstance(schema, dict) else schema if isinstance(schema, list) else ():
        yield from _words(inner)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("PITSTOP_CACHE", str(tmp_path / "cache"))
    return tmp_path


@pytest.fixture
def network() -> digits.Digits:
    found = digits.Digits()
    found.load_state_dict(load_file(PROJECT / "models" / "zoo" / "digits.safetensors"))
    return found.eval()


def served(name: str) -> FakeService:
    """Return what a page makes, checked and started as a replica starts it, and served without Ray."""
    config = moved(name)
    assert check_files([config]) == 0
    [app] = load(config).models
    # What `auto` would choose is not the matter here, and `pitstop init` has started that.
    opened = open_model(app.config.model_copy(update={"backend": "eager"}), "cpu")

    def act(inputs: dict[str, Array]) -> dict[str, Array]:
        found = opened.runner.run([inputs])
        return found if opened.postprocess is None else opened.postprocess(found)

    hooks = app.config.predict.decode, app.config.predict.encode
    decode, encode = (None if each is None else resolve(each) for each in hooks)
    return FakeService(signature_of(opened.config), act, decode, encode)


def as_json(picture: bytes) -> dict[str, str]:
    return {"image": base64.b64encode(picture).decode()}


def huge() -> bytes:
    """Return the head of a PNG whose sides are 60,000."""
    parts = (b"IHDR", struct.pack(">IIBBBBB", 60_000, 60_000, 8, 0, 0, 0, 0)), (b"IDAT", b""), (b"IEND", b"")
    chunks = (
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in parts
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


@pytest.mark.usefixtures("folder")
def test_fastapis_clients_get_the_same_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    service = served("fastapi")
    monkeypatch.chdir(PROJECT)
    with TestClient(fastapi_app.app) as client:
        for picture in PICTURES:
            there = client.post("/classify", json=as_json(picture)).raise_for_status().json()
            assert ask(service, "/predict", as_json(picture), headers=JSON).json == pytest.approx(there, abs=1e-5)
            assert ask(service, "/predict", picture).json == pytest.approx(there, abs=1e-5)
        for wrong in ({}, {"image": 3}, {"image": "a"}, as_json(b"no picture"), as_json(huge())):
            assert client.post("/classify", json=wrong).status_code in (400, 422)
            assert ask(service, "/predict", wrong, headers=JSON).status == 400
        broken = ask(service, "/predict", b'{"image": ', headers=JSON)
        assert (broken.status, broken.json["error"]) == (400, 'send {"image": "<base64 of a picture>"}')


@pytest.mark.usefixtures("folder")
def test_litserves_clients_get_the_same_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    service = served("litserve")
    monkeypatch.chdir(PROJECT)
    with loaded(FOLDER / "litserve_app.py") as module:
        api = module.Api()
        api.setup("cpu")
        there = api.answer([as_json(picture) for picture in PICTURES])
    for answer, picture in zip(there, PICTURES, strict=True):
        assert ask(service, "/predict", as_json(picture), headers=JSON).json == pytest.approx(answer, abs=1e-5)


@pytest.mark.usefixtures("folder")
def test_torchserves_clients_get_the_same_answers(network: digits.Digits) -> None:
    service = served("torchserve")
    with loaded(FOLDER / "torchserve" / "handler.py", pictures=pictures) as module:
        handler = module.Handler()
        handler.model = network
        there = handler.handle([{"body": PICTURES[0]}, {"data": bytearray(PICTURES[1])}])
    for answer, picture in zip(there, PICTURES, strict=True):
        assert ask(service, "/predict", picture, headers={"Content-Type": "image/png"}).json == pytest.approx(
            answer, abs=1e-5
        )
    assert ask(service, "/predict", b"no picture").status == 400


def test_tritons_clients_get_the_same_answers(folder: Path) -> None:
    service = served("triton")
    version = folder / "digits" / "1"
    version.mkdir(parents=True)
    (version / "digits.safetensors").write_bytes((PROJECT / "models" / "zoo" / "digits.safetensors").read_bytes())
    images = [np.random.default_rng(rows).integers(0, 256, (rows, 1, 8, 8), np.uint8) for rows in (1, 3)]
    with loaded(FOLDER / "triton" / "digits" / "1" / "model.py", network=digits) as module:
        model = module.TritonPythonModel()
        model.initialize({"model_repository": str(version.parent), "model_version": "1"})
        there = model.execute([[TritonTensor("image", each)] for each in images])
    for image, tensors in zip(images, there, strict=True):
        sent = {"name": "image", "datatype": "UINT8", "shape": list(image.shape), "data": image.ravel().tolist()}
        here = ask(service, "/infer", {"inputs": [sent]}).json["outputs"]
        assert [each["name"] for each in here] == [each.name for each in tensors]
        for found, tensor in zip(here, tensors, strict=True):
            assert found["shape"] == list(tensor.as_numpy().shape)
            assert found["data"] == pytest.approx(tensor.as_numpy().ravel().tolist(), abs=1e-5)


@pytest.mark.parametrize(
    "other, are",
    [({"a": [1, 0.50001]}, True), ({"a": [1, 0.51]}, False), ({"a": [2, 0.5]}, False), ({"a": [1]}, False)],
)
def test_what_compares_two_servers_sees_a_difference(other: object, are: bool) -> None:
    equal: Callable[[object, object], bool] = same.same
    assert equal([200, {"a": [1, 0.5]}], [200, other]) is are
    assert not equal([400, other], [200, other])


@pytest.mark.parametrize("body, found", [(b'{"label": 7}', {"label": 7}), (b"<html>", "<html>")])
def test_an_answer_that_is_no_json_is_compared_as_text(
    body: bytes, found: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer = requests.Response()
    answer.status_code, answer._content = 502, body
    monkeypatch.setattr(requests, "post", lambda *_, **__: answer)
    (tmp_path / "body.json").write_bytes(b"{}")
    asked: Callable[[str, str], object] = same.ask
    assert asked("http://any", str(tmp_path / "body.json")) == [502, found]
