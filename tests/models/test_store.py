"""The store that nodes share: a start takes what a build brought there, and nothing wrong with it ends a start."""

import json
import logging
import os
import resource
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import fsspec
import pytest
import torch

from models import cache
from models.compile import shared_store, store, store_bound, torchscript
from models.compile.build import Uncompiled
from models.compile.keys import Key
from models.errors import ModelError
from models.runtime.layout import Layout
from models.signature import signature_of
from models.sources import allowlist
from models.sources.files import copy_from
from models.startup.open_model import open_model
from tests.models.networks import Linear
from tests.models.test_open_model import config

LAYOUT = Layout(torch.device("cpu"), torch.float32, False, (1, 8), ())
Node = Callable[[], Path]


@pytest.fixture(autouse=True)
def node(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Node:
    """Be another node at each call: with a cache of its own, that knows nothing of earlier runs."""
    numbers = iter(range(100))

    def another() -> Path:
        folder = tmp_path / f"node-{next(numbers)}"
        monkeypatch.setenv("PITSTOP_CACHE", str(folder))
        monkeypatch.setattr(cache, "_used", {})
        for module, name in ((shared_store, "_silent_until"), (shared_store, "_warned")):
            monkeypatch.setattr(module, name, type(getattr(module, name))())
        shared_store.of_this_run.clear()
        return folder

    monkeypatch.delenv(shared_store.VARIABLE, raising=False)
    monkeypatch.setattr(logging.getLogger("pitstop"), "propagate", True)
    another()
    return another


def given(place: str | Path | None, identity: str | None = "network", **keys: Any) -> Uncompiled:
    whole = config(**({} if place is None else {"store": str(place)}), **keys)
    signature = signature_of(whole)
    return Uncompiled(Linear().eval(), [], signature.inputs, signature.outputs, LAYOUT, whole, identity)


def key_in(place: str | Path | None, identity: str = "network") -> Key:
    key = store.key_of(given(place, identity), "torchscript", portable=True)
    assert key is not None
    return key


def published(place: str | Path, text: str = "compiled", identity: str = "network") -> Key:
    key = key_in(place, identity)
    store.write("torchscript", key, lambda part: _write(part, text), publish=True, seconds=2.5)
    return key


def _write(part: Path, text: str) -> None:
    part.write_text(text)


def taken(key: str | None) -> str | None:
    return store.read("torchscript", key, Path.read_text)


def artefact(place: Path) -> Path:
    [found] = (place / "torchscript").glob("*.pt")
    return found


def document(place: Path) -> Path:
    [found] = (place / "torchscript").glob("*.json")
    return found


@pytest.fixture
def server(tmp_path: Path) -> Iterator[tuple[str, Path]]:
    """A plain web server of a folder, and the folder."""
    folder = tmp_path / "served"
    folder.mkdir()

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder))) as serving:
        threading.Thread(target=serving.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{serving.server_port}", folder
        serving.shutdown()


@pytest.mark.parametrize("kind", ["folder", "file", "memory"])
def test_what_a_build_brought_to_a_store_another_node_takes_and_keeps(kind: str, tmp_path: Path, node: Node) -> None:
    place = {"folder": f"{tmp_path}/s", "file": f"file://{tmp_path}/s", "memory": f"memory://{tmp_path.name}"}[kind]
    key = published(place)
    here = node()
    assert taken(key) == "compiled"
    assert sorted(path.suffix for path in (here / "torchscript").iterdir()) == [".json", ".pt"]
    elsewhere = Key(key, None, key.about)
    assert taken(elsewhere) == "compiled"


def test_a_plain_web_server_is_a_store_to_read_from(server: tuple[str, Path], node: Node) -> None:
    url, folder = server
    published(folder)
    node()
    assert taken(key_in(f"{url}?token=SECRET")) == "compiled"
    assert taken(key_in(url, "another")) is None


def test_a_web_server_cannot_be_written_and_a_build_says_so_without_its_secrets(server: tuple[str, Path]) -> None:
    url = server[0].replace("http://", "http://user:PASSWORD@")
    with pytest.raises(ModelError, match="the store cannot be written") as caught:
        published(f"{url}?token=SECRET")
    assert not [word for word in ("SECRET", "PASSWORD") if word in str(caught.value)]


def test_the_variable_names_the_store_of_all_models_and_the_config_that_of_one(
    tmp_path: Path, node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = published(tmp_path / "one")
    node()
    assert taken(key_in(None)) is None
    monkeypatch.setenv(shared_store.VARIABLE, str(tmp_path / "one"))
    assert taken(key_in(None)) == "compiled"
    node()
    assert taken(key_in(tmp_path / "other")) is None
    assert key == key_in(tmp_path / "other"), "where it lies is no part of the key"


def test_a_start_writes_to_the_cache_alone(tmp_path: Path, node: Node) -> None:
    (tmp_path / "s").mkdir()
    store.write("torchscript", key_in(tmp_path / "s"), lambda part: _write(part, "x"))
    store.write_json("starts", key_in(tmp_path / "s"), {"a": 1})
    assert list((tmp_path / "s").iterdir()) == []
    node()
    assert taken(key_in(tmp_path / "s")) is None


def test_a_build_brings_what_an_earlier_start_kept(tmp_path: Path, node: Node) -> None:
    key = key_in(tmp_path / "s")
    store.write("torchscript", key, lambda part: _write(part, "x"))
    assert store.read("torchscript", key, Path.read_text, publish=True) == "x"
    node()
    assert taken(key) == "x"


def test_provenance_tells_what_it_is_of_whom_and_where_it_was_made(tmp_path: Path) -> None:
    source = {"factory": "tests.models.networks:Linear", "weights": "https://u:PASSWORD@host/w.pt?sig=SECRET"}
    whole = given(tmp_path / "s", source=source, name="pits", version="7")
    key = store.key_of(whole, "torchscript", portable=True)
    store.write("torchscript", key, lambda part: _write(part, "x"), publish=True, seconds=2.5)
    text = document(tmp_path / "s").read_text()
    found = json.loads(text)
    assert (found["model"], found["version"], found["backend"], found["seconds"]) == ("pits", "7", "torchscript", 2.5)
    assert found["source"]["weights"] == "https://host/w.pt"
    assert found["machine"] == {"torch": torch.__version__, "device": "cpu"}
    assert (found["precision"], found["memory_format"], found["batch_sizes"]) == ("fp32", "contiguous", [1, 8])
    assert (found["bytes"], found["file"]) == (1, artefact(tmp_path / "s").name)
    assert {"made", "pitstop", "commit", "cpu", "identity", "sha256", "inputs", "outputs", "dims"} <= set(found)
    assert not [word for word in ("SECRET", "PASSWORD") if word in text]


@pytest.mark.parametrize("damage", ["cut", "flipped", "empty", "gone", "another's"])
def test_an_artefact_that_is_not_what_was_published_is_never_run(
    damage: str, tmp_path: Path, node: Node, caplog: pytest.LogCaptureFixture
) -> None:
    key, place = published(tmp_path / "s"), tmp_path / "s"
    path = artefact(place)
    bad = {"cut": b"compile", "flipped": b"compiler", "empty": b"", "another's": b"something else"}
    path.unlink() if damage == "gone" else path.write_bytes(bad[damage])
    here = node()
    assert taken(key) is None
    [warning] = [each for each in caplog.records if each.levelno >= logging.WARNING]
    assert ("is gone" if damage == "gone" else "is damaged") in warning.getMessage()
    assert "help: run `pitstop build` again" in warning.getMessage()
    assert [each for each in here.rglob("*") if each.is_file()] == []


def _changed(**keys: object) -> Callable[[Path], None]:
    def change(path: Path) -> None:
        path.write_text(json.dumps({**json.loads(path.read_text()), **keys}))

    return change


@pytest.mark.parametrize(
    "change",
    [
        lambda path: path.write_text(path.read_text()[:-9]),
        lambda path: path.write_text("[]"),
        lambda path: path.write_bytes(b"\xff\xfe"),
        _changed(backend="aoti"),
        _changed(key="0" * 64),
        _changed(machine={"torch": "1.0", "device": "cpu"}),
        _changed(file="../../etc/passwd"),
        _changed(bytes=-1),
        _changed(sha256="ff" * 32),
    ],
    ids=["cut", "no dict", "no text", "backend", "key", "machine", "path", "size", "checksum"],
)
def test_a_document_that_does_not_fit_costs_a_warning(
    change: Callable[[Path], None], tmp_path: Path, node: Node, caplog: pytest.LogCaptureFixture
) -> None:
    key = published(tmp_path / "s")
    change(document(tmp_path / "s"))
    node()
    assert taken(key) is None
    [warning] = [each for each in caplog.records if each.levelno >= logging.WARNING]
    assert "does not fit" in warning.getMessage()


def test_an_artefact_without_its_document_is_not_there(tmp_path: Path, node: Node) -> None:
    key = published(tmp_path / "s")
    document(tmp_path / "s").unlink()
    node()
    assert taken(key) is None


def test_a_store_that_is_not_there_costs_one_warning_however_much_is_asked(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    key = key_in(tmp_path / "none")
    assert [taken(key), taken(key), store.read_json("starts", key)] == [None] * 3
    [warning] = [each for each in caplog.records if each.levelno >= logging.WARNING]
    assert f"{tmp_path}/none: the store is no folder\nhelp: " in warning.getMessage()


def test_a_host_that_answers_nothing_is_waited_for_no_longer_than_the_bound(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(shared_store, "_ANSWER_S", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        place = f"http://user:PASSWORD@127.0.0.1:{silent.getsockname()[1]}/store?sig=SECRET"
        started = time.monotonic()
        assert [taken(key_in(place)), taken(key_in(place))] == [None, None]
        assert time.monotonic() - started < 5
    [warning] = [each for each in caplog.records if each.levelno >= logging.WARNING]
    assert "not within 0.3 s\nhelp: check the store" in warning.getMessage()
    assert not [word for word in ("SECRET", "PASSWORD") if word in caplog.text]


def test_a_store_too_slow_for_its_size_is_not_waited_for(
    tmp_path: Path, node: Node, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    key = published(tmp_path / "s")
    go_on = threading.Event()

    def slow(location: str, to: Path, stopped: Callable[[], bool]) -> str:
        if location.endswith(".pt"):
            go_on.wait(10)
        return copy_from(location, to, stopped)

    monkeypatch.setattr(shared_store, "copy_from", slow)
    monkeypatch.setattr(shared_store, "_ANSWER_S", 0.3)
    here = node()
    assert taken(key) is None
    go_on.set()
    assert "not within" in caplog.text
    assert [each for each in here.rglob("*") if each.is_file()] == []


def test_a_host_that_is_unknown_and_a_driver_that_is_missing_cost_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    assert taken(key_in("http://user:PASSWORD@127.0.0.1:9/x?sig=SECRET")) is None
    assert taken(key_in("nosuchdriver://bucket/x")) is None
    assert "http://127.0.0.1:9/x/torchscript/" in caplog.text
    assert "nosuchdriver://bucket/x" in caplog.text
    assert not [word for word in ("SECRET", "PASSWORD") if word in caplog.text]


def test_a_store_outside_of_what_is_allowed_is_neither_read_nor_written(
    tmp_path: Path, node: Node, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    key = published(tmp_path / "s")
    monkeypatch.setenv(allowlist.VARIABLE, str(tmp_path / "other"))
    node()
    assert taken(key) is None
    assert "outside of the places that PITSTOP_SOURCES allows" in caplog.text
    for place in (str(tmp_path / "s"), "memory://elsewhere"):
        with pytest.raises(ModelError, match="PITSTOP_SOURCES allows"):
            published(place)
    monkeypatch.setenv(allowlist.VARIABLE, str(tmp_path))
    node()
    assert taken(key) == "compiled"


def test_a_store_that_cannot_be_written_fails_a_build_by_name_and_keeps_the_artefact_here(tmp_path: Path) -> None:
    # A file in the folder's place fails for root as well, whom no permission stops.
    (tmp_path / "s").mkdir()
    (tmp_path / "s" / "torchscript").write_text("")
    with pytest.raises(ModelError, match=r"/s: the store cannot be written \(.*\)\nhelp: check its address, rights"):
        published(tmp_path / "s")
    assert taken(key_in(None)) == "compiled"


def test_a_full_disk_of_the_store_leaves_no_document_of_half_an_artefact(tmp_path: Path, node: Node) -> None:
    key = key_in(tmp_path / "s")
    store.write("torchscript", key, lambda part: _write(part, "x" * 20_000))
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (9_000, hard))
    try:
        with pytest.raises(ModelError, match="the store cannot be written"):
            store.read("torchscript", key, Path.read_text, publish=True)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert [path for path in (tmp_path / "s").rglob("*") if path.is_file()] == []
    node()
    assert taken(key) is None


def test_a_full_disk_of_the_cache_costs_a_warning_with_the_way_out(
    tmp_path: Path, node: Node, caplog: pytest.LogCaptureFixture
) -> None:
    key = published(tmp_path / "s", "x" * 20_000)
    here = node()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (9_000, hard))
    try:
        assert taken(key) is None
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert "set PITSTOP_CACHE to another folder" in caplog.text
    assert [each for each in here.rglob("*") if each.is_file()] == []


def test_a_full_disk_of_the_cache_fails_a_build_by_name_and_costs_a_start_a_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    key = key_in(tmp_path / "s")
    keeps: list[Callable[[bool], None]] = [
        lambda build: store.write("torchscript", key, lambda part: _write(part, "x" * 20_000), publish=build),
        lambda build: store.write_json("builds", key, "x" * 20_000, publish=build),
    ]
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (9_000, hard))
    try:
        for keep in keeps:
            keep(False)
            with pytest.raises(ModelError, match=r"not kept.*File too large\nhelp: .* set PITSTOP_CACHE to "):
                keep(True)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert caplog.text.count("set PITSTOP_CACHE to another folder") == len(keeps)
    assert [each for each in tmp_path.rglob("*") if each.is_file()] == []


def test_a_module_that_cannot_be_saved_fails_no_build(caplog: pytest.LogCaptureFixture) -> None:
    def save(_: Path) -> None:
        raise RuntimeError("\nCould not export Python function call 'ignored'")

    store.write("torchscript", key_in(None), save, publish=True)
    assert "it will be made again: Could not export Python function call" in caplog.text


@pytest.mark.parametrize("variable", [cache.VARIABLE, store_bound.BOUND])
@pytest.mark.parametrize("text", ["much", "0", "-1", "inf"])
def test_a_build_with_a_bound_that_is_none_is_refused_before_it_begins(
    monkeypatch: pytest.MonkeyPatch, variable: str, text: str
) -> None:
    store.check_build("s3://models/store")
    monkeypatch.setenv(variable, text)
    with pytest.raises(ModelError, match=f"{variable}: '{text}' is not a number"):
        store.check_build(None)


@pytest.mark.parametrize("place", [" ", "memory://x", "simplecache::memory://x"])
def test_a_store_that_keeps_nothing_is_refused_before_a_build(place: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ModelError, match=r"help: name a folder"):
        store.check_build(place)
    monkeypatch.setenv(shared_store.VARIABLE, "memory://x")
    with pytest.raises(ModelError, match=r"help: name a folder"):
        store.check_build(None)


def test_a_folder_that_everybody_can_write_to_is_told_once(
    tmp_path: Path, node: Node, caplog: pytest.LogCaptureFixture
) -> None:
    key = published(tmp_path / "s")
    node()
    taken(key)
    assert "can write to" not in caplog.text
    (tmp_path / "s").chmod(0o777)
    node()
    assert taken(key) == "compiled"
    assert store.read_json("starts", key) is None
    [warning] = [each for each in caplog.records if "can write to" in each.getMessage()]
    assert f"help: chmod o-w {tmp_path}/s" in warning.getMessage()


@pytest.mark.parametrize("kind", ["folder", "memory"])
def test_the_bound_removes_what_is_oldest_with_its_document_and_nothing_of_this_run(
    kind: str, tmp_path: Path, node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = str(tmp_path / "s") if kind == "folder" else f"memory://{tmp_path.name}/s"
    files, root = fsspec.core.url_to_fs(place)
    monkeypatch.setenv(store_bound.BOUND, str(30_000 / 2**30))
    old, older, own = (published(place, "x" * 10_000, name) for name in ("a", "b", "c"))
    files.pipe_file(f"{root}/torchscript/notes.txt", b"x" * 50_000)
    if kind == "folder":
        for age, key in enumerate((older, old)):
            for path in (tmp_path / "s" / "torchscript").glob(f"{key}*"):
                os.utime(path, (age, age))
    else:
        older, old = old, older
    node()
    new = published(place, "x" * 10_000, "d")
    there = {name.rpartition("/")[2] for name in files.find(root)}
    assert {name[:64] for name in there if name != "notes.txt"} == {own, new}
    assert "notes.txt" in there
    node()
    monkeypatch.setenv(store_bound.BOUND, str(1_000 / 2**30))
    published(place, "x" * 10_000, "c")
    assert {name.rpartition("/")[2][:64] for name in files.find(root)} == {own, "notes.txt"}


def test_a_bound_that_is_none_fails_a_build_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(store_bound.BOUND, "much")
    with pytest.raises(ModelError, match="PITSTOP_STORE_GIB: 'much' is not a number of GiB above 0"):
        published(tmp_path / "s")


def test_a_document_is_the_newer_of_cache_and_store(tmp_path: Path, node: Node) -> None:
    key, other = key_in(tmp_path / "s"), key_in(None)
    store.write_json("starts", key, {"won": "script", "ms": [1, 2.5]})
    assert store.read_json("starts", other) == {"won": "script", "ms": [1, 2.5]}
    here = node()
    store.write_json("starts", key, {"won": "aoti"}, publish=True)
    node()
    assert store.read_json("starts", key) == {"won": "aoti"}
    assert store.read_json("starts", other) == {"won": "aoti"}, "it was kept"
    store.write_json("starts", key, {"won": "later"})
    assert store.read_json("starts", key) == {"won": "later"}
    assert here.is_dir()


def test_a_document_that_was_changed_is_done_without(node: Node, caplog: pytest.LogCaptureFixture) -> None:
    here, key = node(), key_in(None)
    store.write_json("starts", key, {"won": "script"})
    [path] = (here / "starts").iterdir()
    path.write_text(path.read_text().replace("script", "eager!"))
    assert store.read_json("starts", key) is None
    assert "is done without" in caplog.text
    assert store.read_json("starts", None) is None


def test_a_model_is_opened_from_the_store_and_answers_the_same(
    tmp_path: Path, node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = config(backend="torchscript", store=str(tmp_path / "s"))
    build = torchscript.build
    monkeypatch.setattr(torchscript, "build", lambda given: build(replace(given, publish=True)))
    first = open_model(whole, "cpu")
    monkeypatch.setattr(torchscript, "build", build)
    node()
    second = open_model(whole, "cpu")
    assert (first.checks.compilation.made, second.checks.compilation.made) == ("now", "before")
    (tmp_path / "s").rename(tmp_path / "away")
    node()
    assert open_model(whole, "cpu").checks.compilation.made == "now"


def test_a_build_says_nothing_of_a_folder_that_it_is_about_to_make(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    def asked(place: Path) -> list[str]:
        caplog.clear()
        with caplog.at_level(logging.INFO, "pitstop"):
            assert store.read("torchscript", key_in(place), Path.read_text, publish=True) is None
        return [each.getMessage() for each in caplog.records]

    assert asked(tmp_path / "new") == []
    (tmp_path / "file").write_text("")
    [said] = asked(tmp_path / "file")
    assert "the store is no folder" in said
    published(tmp_path / "new")
    assert (tmp_path / "new" / "torchscript").is_dir()
