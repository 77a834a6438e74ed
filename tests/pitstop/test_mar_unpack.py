import stat
import zipfile
from pathlib import Path

import pytest

from models.errors import ModelError
from pitstop.export import mar_code
from pitstop.export.mar import unpack

from .archives import MODEL, archive


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "into").mkdir()
    return tmp_path / "into"


@pytest.mark.parametrize("name", ["../evil.py", "/etc/evil", "a/../../evil.py", "..\\evil.py", "C:\\evil.py"])
def test_a_name_that_leaves_the_folder_is_refused_and_nothing_is_written(
    tmp_path: Path, folder: Path, name: str
) -> None:
    archive(tmp_path / "evil.mar", {"fine.py": "", name: "x"})
    with pytest.raises(ModelError, match="would be written outside of the folder"):
        unpack(tmp_path / "evil.mar", folder)
    assert list(folder.iterdir()) == []
    assert not list(tmp_path.rglob("evil.py"))


def test_a_link_in_a_zip_is_refused(tmp_path: Path, folder: Path) -> None:
    link = zipfile.ZipInfo("weights.pt")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(archive(tmp_path / "evil.mar", {}), "a") as target:
        target.writestr(link, "/etc/passwd")
    with pytest.raises(ModelError, match="is a link"):
        unpack(tmp_path / "evil.mar", folder)
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize("target", ["/etc", "/etc/passwd"])
def test_a_link_in_a_folder_is_refused(tmp_path: Path, folder: Path, target: str) -> None:
    with zipfile.ZipFile(archive(tmp_path / "net.mar", {"a.py": ""})) as source:
        source.extractall(tmp_path / "net")
    (tmp_path / "net" / "linked").symlink_to(target)
    with pytest.raises(ModelError, match="is a link"):
        unpack(tmp_path / "net", folder)
    assert list(folder.iterdir()) == []


def test_an_archive_that_unpacks_to_more_than_there_is_room_for_is_refused(
    tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda _: type("Usage", (), {"free": 1000}))
    archive(tmp_path / "bomb.mar", {"zeros": b"0" * 100_000})
    with pytest.raises(ModelError, match="are free"):
        unpack(tmp_path / "bomb.mar", folder)


@pytest.mark.parametrize(
    "content, says",
    [(None, "has no MAR-INF/MANIFEST.json"), ("{", "is not JSON"), ("[]", "describes no model"), ("{}", "no model")],
)
def test_an_archive_without_a_manifest_is_refused(tmp_path: Path, folder: Path, content: str | None, says: str) -> None:
    with zipfile.ZipFile(tmp_path / "net.mar", "w") as target:
        target.writestr("a.py", "")
        if content is not None:
            target.writestr("MAR-INF/MANIFEST.json", content)
    with pytest.raises(ModelError, match=says):
        unpack(tmp_path / "net.mar", folder)


def test_a_file_that_is_no_archive_is_refused(tmp_path: Path, folder: Path) -> None:
    (tmp_path / "net.mar").write_text("no zip")
    with pytest.raises(ModelError, match="neither a zip nor a folder"):
        unpack(tmp_path / "net.mar", folder)


def test_the_network_is_the_class_that_no_other_uses(tmp_path: Path) -> None:
    (tmp_path / "model.py").write_text(MODEL)
    assert mar_code.network_class(tmp_path / "model.py") == "Net"


def test_imports_of_neighbours_become_relative_and_others_stay(tmp_path: Path) -> None:
    path = tmp_path / "model.py"
    path.write_text("import utils\nimport torch\nfrom utils import a as b  # why\nfrom layers.x import (\n    y,\n)\n")
    said = mar_code.relative(path, {"utils", "layers"})
    lines = path.read_text().splitlines()
    assert lines[:3] == ["from . import utils", "import torch", "from utils import a as b  # why"]
    assert any(each.startswith("model.py:1: `import utils` became `from . import utils`") for each in said)
    assert sum("put a dot before it" in each for each in said) == 2


def test_what_a_handler_overrides_is_read_and_not_run(tmp_path: Path) -> None:
    path = tmp_path / "handler.py"
    path.write_text(
        "raise SystemExit\nclass H(ts.ImageClassifier):\n    topk = 1\n    def postprocess(self, data): return data\n"
    )
    assert mar_code.overridden(path) == (["ImageClassifier"], ["topk", "postprocess"])
