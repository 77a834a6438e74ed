"""Runs a package of AOTInductor (.pt2) through the C interface of its shared object, which lets go of the interpreter.

torch's loader holds it while a forward runs (pytorch#197516): the event loop and the watchdog would stand still. The
private names of torch that this takes are all in this file. What the C interface cannot run goes through the loader:
code for a GPU, where a run only queues kernels, operators that need torch's proxy executor, and a torch in which a name
here is missing.
"""

import _ctypes
import ctypes
import fcntl
import hashlib
import importlib
import json
import logging
import os
import tempfile
import threading
import weakref
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path, PurePosixPath
from typing import Any

import torch

from .. import cache
from ..errors import without_folders
from ..runtime.runner import Forward
from ..sources.files import digest, written_atomically
from .expected_inputs import Expected, from_json

# The key of what pitstop writes into a package, beside torch's own.
EXPECTED = "pitstop_expected"
_FOLDER = "aoti"
_MODEL = "/data/aotinductor/model/"
_PREFIX = "AOTInductorModelContainer"
# Other files are constants, kernels or a list of operators for the proxy executor.
_KNOWN = (".cpp", ".so", "_metadata.json")
_CHUNK_BYTES = 2**20
_DONT_NEED = 4  # Of madvise.
_FORGET_EVERY_S = 0.02
_ADDRESS, _SIZE = ctypes.c_void_p, ctypes.c_size_t
_NEEDED = ("unsafe_alloc_void_ptrs_from_tensors", "alloc_tensors_by_stealing_from_void_ptrs")
_log = logging.getLogger("pitstop")

# PyDLL keeps the interpreter: these take less time than to let go of it.
_pointer_of = ctypes.PYFUNCTYPE(_ADDRESS, ctypes.py_object, ctypes.c_char_p)(("PyCapsule_GetPointer", ctypes.pythonapi))
_capsule_of = ctypes.PYFUNCTYPE(ctypes.py_object, _ADDRESS, ctypes.c_char_p, _ADDRESS)(
    ("PyCapsule_New", ctypes.pythonapi)
)


class Container:
    """A package that is loaded into memory; freed with the last reference. Several threads may call it: they queue."""

    def __init__(self, library: Path, expected: Expected) -> None:
        self.expected = expected
        # All names are bound now: one that this torch lacks must not end the process in a request.
        self._library = ctypes.CDLL(str(library), mode=os.RTLD_NOW)
        self._alloc, self._steal = (getattr(_aoti(), name) for name in _NEEDED)
        self._run = _function(self._library, "Run", _ADDRESS, _ADDRESS, _SIZE, _ADDRESS, _SIZE, _ADDRESS, _ADDRESS)
        create = _function(self._library, "CreateWithDevice", _ADDRESS, _SIZE, ctypes.c_char_p, ctypes.c_char_p)
        delete = _function(self._library, "Delete", _ADDRESS)
        self._handle = _ADDRESS()
        with _forgotten(self._library._name):
            failed = create(ctypes.byref(self._handle), 1, b"cpu", None)
        if failed:
            raise self._failed()
        close = weakref.finalize(self, _close, delete, self._handle, self._library)
        close.atexit = False  # Another thread may still run it, and the memory goes with the process.
        takes, returns = self._count("NumInputs"), self._count("NumOutputs")
        self._inputs, self._outputs = _ADDRESS * takes, _ADDRESS * returns
        if takes != len(expected.inputs):
            raise RuntimeError(f"the package takes {takes} inputs, and says that it takes {len(expected.inputs)}")

    def __call__(self, *inputs: torch.Tensor) -> Any:
        """Run it: a tuple of tensors, or a dict where the network returned one. ValueError for what it cannot take."""
        ready = self.expected.ready(inputs)
        given = self._inputs(*[_pointer_of(each, None) for each in self._alloc(ready)])
        taken = self._outputs()
        # The handles of the inputs are the callee's; those of the outputs are ours.
        failed = self._run(self._handle, given, len(given), taken, len(taken), None, None)
        if failed:
            error = self._failed()
            self._tensors([*given, *taken])  # Those that were not taken, or already made, are freed.
            raise error
        return _as_returned(self._tensors(taken), self.expected)

    def _tensors(self, handles: Iterable[int | None]) -> list[torch.Tensor]:
        found: list[torch.Tensor] = self._steal([_capsule_of(each, None, None) for each in handles if each])
        return found

    def _count(self, what: str) -> int:
        count = _SIZE()
        _function(self._library, f"Get{what}", _ADDRESS, _ADDRESS)(self._handle, ctypes.byref(count))
        return count.value

    def _failed(self) -> RuntimeError:
        """Return the error of the call that this thread just made."""
        text = ctypes.c_char_p()
        if (last := getattr(self._library, "AOTInductorGetLastError", None)) is not None:
            last(ctypes.byref(text))
        # A line for each frame of the stack follows.
        said = without_folders((text.value or b"").decode(errors="replace").partition("\n")[0])
        return RuntimeError(f"AOTInductor: {said or 'the compiled forward failed, and said why on stderr'}")


class Loaded:
    """A package in torch's own loader, which holds the interpreter while the forward runs."""

    def __init__(self, package: Path, device: torch.device, expected: Expected) -> None:
        self.expected = expected
        self._loader = _loader(package, device)
        # Older ones copy the list.
        self._run = getattr(self._loader, "boxed_run", self._loader.run)
        self._aligned = device.type == "cuda"

    def __call__(self, *inputs: torch.Tensor) -> Any:
        ready = self.expected.ready(inputs)
        if self._aligned:  # Its kernels read 16 bytes at a time.
            ready = [each.clone() if each.data_ptr() % 16 else each for each in ready]
        return _as_returned(self._run(ready), self.expected)


def load(package: Path, device: torch.device) -> Forward:
    """Return the forward of a package.

    Raises:
        ValueError, zipfile.BadZipFile: the package is damaged, or not pitstop's.
        OSError: its library cannot be loaded.
        RuntimeError: torch cannot load it.
    """
    with zipfile.ZipFile(package) as archive:
        files = [each for each in archive.infolist() if _MODEL in f"/{each.filename}"]
        expected = _expected(archive, files)
        libraries = [each for each in files if each.filename.endswith(".so")]
        if not libraries:
            raise ValueError("the package has no shared object")
        if device.type != "cpu" or not runs_freely(archive) or not _has_interface():
            return Loaded(package, device, expected)
        try:
            return _container(archive, libraries[0], expected)
        except AttributeError as error:  # A name is missing in the library of another torch.
            _log.info("AOTInductor: the forward holds the interpreter, since this torch has %s", error)
    return Loaded(package, device, expected)


def _container(archive: zipfile.ZipFile, library: zipfile.ZipInfo, expected: Expected) -> Container:
    try:
        path = _unpacked(archive, library)
    except OSError as error:
        _log.info("not unpacked in %s, so in memory of its own: %s", cache.cache_dir(), error.strerror or error)
        # What is mapped stays when its file is removed.
        with tempfile.TemporaryDirectory(prefix="pitstop-") as folder:
            path = Path(folder) / "model.so"
            _extracted(archive, library, path)
            return Container(path, expected)
    return Container(path, expected)


def runs_freely(archive: zipfile.ZipFile) -> bool:
    """Whether a package for a CPU needs nothing but its one shared object."""
    names = [each for each in archive.namelist() if not each.endswith("/")]
    data = [PurePosixPath(each).parts[1:] for each in names if "/data/" in each]
    of_model = [parts[-1] for parts in data if "/".join(parts[:-1]) == _MODEL.strip("/")]
    known = len(of_model) == len(data) and all(name.endswith(_KNOWN) for name in of_model)
    return known and sum(name.endswith(".so") for name in of_model) == 1


def _as_returned(outputs: Sequence[torch.Tensor], expected: Expected) -> Any:
    if expected.kept:
        outputs = [each.clone() if index in expected.kept else each for index, each in enumerate(outputs)]
    return tuple(outputs) if expected.names is None else dict(zip(expected.names, outputs, strict=True))


def _expected(archive: zipfile.ZipFile, files: Sequence[zipfile.ZipInfo]) -> Expected:
    for each in files:
        if each.filename.endswith("_metadata.json"):
            text = json.loads(archive.read(each)).get(EXPECTED)
            if text is not None:
                return from_json(text)
    raise ValueError("the package does not say what it takes")


def _aoti() -> Any:
    return getattr(torch._C, "_aoti", None)


def _has_interface() -> bool:
    return all(hasattr(_aoti(), name) for name in _NEEDED)


def _function(library: ctypes.CDLL, name: str, *takes: Any) -> Any:
    found = library[f"{_PREFIX}{name}"]  # By index it is a new object, whose types are ours alone.
    found.argtypes = takes
    return found


def _close(delete: Any, handle: ctypes.c_void_p, library: ctypes.CDLL) -> None:
    delete(handle)
    _ctypes.dlclose(library._handle)
    # It stays mapped, since every thread that ran it has its own text of the last error.
    _forget(_spans(library._name))


@contextmanager
def _forgotten(library: str) -> Iterator[None]:
    """Keep the pages of a library's weights out of memory while torch's container copies them, and afterwards."""
    done, spans = threading.Event(), _spans(library)

    def forget() -> None:
        while not done.wait(_FORGET_EVERY_S):
            _forget(spans)

    thread = threading.Thread(target=forget, daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()
        _forget(spans)


def _spans(library: str) -> list[tuple[int, int]]:
    """Return where a library's weights are mapped; nothing where the system does not say."""
    try:
        return list(unwritten(Path("/proc/self/smaps").read_text(encoding="utf-8"), library))
    except (OSError, ValueError):
        return []


def _forget(spans: Iterable[tuple[int, int]]) -> None:
    """Let go of the memory of what is mapped there; the file has it still."""
    for first, last in spans:
        with suppress(AttributeError):  # A system without madvise.
            ctypes.CDLL(None).madvise(_ADDRESS(first), _SIZE(last - first), _DONT_NEED)


def unwritten(smaps: str, library: str) -> Iterator[tuple[int, int]]:
    """Yield the read-only mappings of a library; what the loader wrote into, before it was made so, must stay."""
    span = ""
    for line in smaps.splitlines():
        if " r--p " in line:
            span = line.split()[0] if line.endswith(f" {library}") else ""
        elif span and line.startswith("Anonymous:"):
            if line.split()[1] == "0":
                first, last = span.split("-")
                yield int(first, 16), int(last, 16)
            span = ""  # The lines of a mapping that follows are not this one's.


def _loader(package: Path, device: torch.device) -> Any:
    kind = getattr(_aoti(), "AOTIModelPackageLoader", None)
    if kind is None:
        return importlib.import_module("torch._inductor").aoti_load_package(str(package)).loader
    # Without its lock a run can be captured in a CUDA graph (pytorch#148601); our replicas run one forward at a time.
    options = ["model", device.type == "cuda", 1, -1 if device.index is None else device.index]
    for count in (4, 3, 2, 1):  # torch 2.6 takes the name alone.
        try:
            return kind(str(package), *options[:count])
        except TypeError:
            continue
    raise RuntimeError("torch's loader of packages takes other arguments")


def _unpacked(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> Path:
    """Return the shared object in the cache: one file for all replicas of a node, which they map and do not copy."""
    # The folder's name tells packages apart; the file's is its checksum.
    name = PurePosixPath(member.filename).name.partition(".")[0]
    folder = cache.folder(_FOLDER) / f"{name[:40]}-{member.CRC:08x}"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    with _locked(folder):
        for found in folder.glob("*.so"):
            if digest(found) == found.stem and cache.use(found):
                return found
            found.unlink(missing_ok=True)
        with written_atomically(folder) as part:
            path = part.with_name(f"{_extracted(archive, member, part)}.so")
            part.replace(path)
        cache.use(path)
    cache.shrink(path)
    return path


def _extracted(archive: zipfile.ZipFile, member: zipfile.ZipInfo, path: Path) -> str:
    """Write a member of the archive, which is checked against its own checksum; return its sha256."""
    hasher = hashlib.sha256()
    with archive.open(member) as packed, path.open("wb") as file:
        while chunk := packed.read(_CHUNK_BYTES):
            hasher.update(chunk)
            file.write(chunk)
    return hasher.hexdigest()


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Let one process at a time unpack."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        with suppress(OSError):  # A file system without locks: then two write the same file.
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)
