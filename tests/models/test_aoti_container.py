"""A package of AOTInductor through its C interface: answers as through torch's loader, and a free interpreter."""

import asyncio
import threading
import time
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from unittest.mock import Mock, patch

import pytest
import torch

from deployments.health.heartbeat import Heartbeat
from deployments.health.watchdog import Watchdog
from models import cache
from models.compile import aoti, aoti_container
from models.compile.aoti import has_compiler, may_abort
from models.compile.aoti_container import Container, Loaded, load
from models.compile.expected_inputs import Expected
from tests.models.aoti_networks import Custom, Long, Words, package

CPU = torch.device("cpu")
pytestmark = pytest.mark.skipif(not has_compiler(), reason="needs a C++ compiler")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("packages")


@pytest.fixture(autouse=True)
def home(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PITSTOP_CACHE", str(folder / "cache"))
    return folder / "cache"


@pytest.fixture(scope="module")
def words(folder: Path) -> Iterator[Path]:
    # Of so many tokens torch spreads the loop that checks them over its threads: so it is compiled a second time.
    threads, compiled = torch.get_num_threads(), Mock(wraps=aoti._compile)
    torch.set_num_threads(2)
    with patch.object(aoti, "_compile", compiled):
        example = torch.ones(256, 64, dtype=torch.long), torch.ones(256, 64)
        made = package(folder, Words(), example, "rows", "tokens")
    assert compiled.call_count == 2
    yield made
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def long(folder: Path) -> Path:
    return package(folder, Long(), (torch.ones(3, 1024),), "rows", most=2048)


@pytest.fixture(scope="module")
def custom(folder: Path) -> Path:
    return package(folder, Custom(), (torch.ones(3, 4),), "rows")


def ids(rows: int, tokens: int, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, 100, (rows, tokens), generator=generator), torch.rand(rows, tokens, generator=generator)


def through_torch(path: Path) -> Loaded:
    forward: Any = load(path, CPU)
    return Loaded(path, CPU, forward.expected)


def test_answers_are_those_of_the_loader_to_the_last_bit_for_every_size(words: Path) -> None:
    forward, loader, eager = load(words, CPU), through_torch(words), Words().eval()
    assert isinstance(forward, Container)
    with torch.inference_mode():
        for rows, tokens in [(1, 1), (1, 7), (2, 2), (3, 64), (33, 5), (256, 64), (640, 1)]:
            given = ids(rows, tokens)
            found, same, near = forward(*given), loader(*given), eager(*given)
            assert all(torch.equal(*pair) for pair in zip(found, same, strict=True)), (rows, tokens)
            torch.testing.assert_close(found, near, rtol=1e-4, atol=1e-5)


def test_inputs_may_have_any_strides(words: Path) -> None:
    forward = load(words, CPU)
    given, mask = ids(6, 8)
    expected = forward(given, mask)[0]
    assert torch.equal(forward(given.t().contiguous().t(), mask)[0], expected)
    assert torch.equal(forward(given.repeat(1, 2)[:, :8], mask.repeat_interleave(2, 0)[::2])[0], expected)
    torch.testing.assert_close(forward(given[2:], mask[2:])[0], expected[2:])


@pytest.mark.parametrize(
    "given, said",
    [
        (lambda: ids(3, 4)[:1], "1 inputs were given, compiled for 2"),
        (lambda: (*ids(3, 4), torch.ones(3)), "3 inputs were given"),
        (lambda: (ids(3, 4)[0].int(), torch.ones(3, 4)), r"input 0 is int32 \[3, 4\] on cpu, compiled for int64 "),
        (lambda: (ids(3, 4)[0], torch.ones(3, 4).bool()), "input 1 is bool"),
        (lambda: (ids(3, 4)[0], torch.ones(4, 4)), r"input 1 .* that agree"),
        (lambda: (ids(3, 4)[0], torch.ones(3)), r"input 1 is float32 \[3\] on cpu"),
        (lambda: ids(0, 4), r"input 0 is int64 \[0, 4\] .* \[1 to 640, 1 to 640\]"),
        (lambda: ids(641, 4), r"input 0 is int64 \[641, 4\]"),
        (lambda: (ids(3, 4)[0], torch.ones(3, 4, device="meta")), "input 0 .* on cpu"),
        (lambda: (ids(3, 4)[0], torch.ones(3, 4).to_sparse()), "input 1 is float32"),
    ],
)
def test_other_inputs_are_refused_before_compiled_code_reads_them(words: Path, given: Any, said: str) -> None:
    forward = load(words, CPU)
    with pytest.raises(ValueError, match=said):
        forward(*given())
    assert forward(*ids(3, 4))[0].shape == (3, 4)


def test_an_index_that_is_none_raises_and_ends_no_process_though_torch_has_threads(words: Path) -> None:
    """From a loop of several threads the error would reach nobody, and the process would abort."""
    forward, (given, mask) = load(words, CPU), ids(256, 64)
    given[200, 3] = 100
    for _ in range(3):
        with pytest.raises(RuntimeError, match=r"AOTInductor: index out of bounds: .*100"):
            forward(given, mask)
    assert not may_abort(words)
    assert forward(*ids(2, 3))[0].shape == (2, 4)


def test_an_error_of_compiled_code_tells_a_client_no_folder_of_the_server() -> None:
    def last(text: Any) -> None:
        text._obj.value = b"division by zero, /srv/torch/include/c.h:3\nframe #0"

    container = Mock(spec=Container, _library=Mock(AOTInductorGetLastError=last))
    assert str(Container._failed(container)) == "AOTInductor: division by zero, c.h:3"


def test_a_run_keeps_no_tensor_also_if_it_fails(words: Path) -> None:
    forward, (given, mask) = load(words, CPU), ids(256, 64)
    before = given._use_count(), mask._use_count()  # type: ignore[attr-defined]
    returned = forward(given, mask)
    del returned
    given[0, 0] = -101
    with pytest.raises(RuntimeError):
        forward(given, mask)
    assert (given._use_count(), mask._use_count()) == before  # type: ignore[attr-defined]


def test_what_is_returned_outlives_the_package_and_is_not_its_weights(words: Path) -> None:
    forward = load(words, CPU)
    given = ids(3, 4)
    found, same, part = forward(*given)
    assert same.data_ptr() == given[0].data_ptr()
    kept = part.clone()
    part.zero_()
    assert torch.equal(forward(*given)[2], kept)
    expected = found.clone()
    del forward
    assert torch.equal(found, expected)


def test_two_threads_get_their_own_answers(words: Path) -> None:
    forward = load(words, CPU)
    given = [ids(40 + index, 9, index) for index in range(2)]
    expected = [forward(*each)[0] for each in given]
    wrong: list[int] = []

    def many(index: int) -> None:
        with torch.inference_mode():
            wrong.extend(index for _ in range(200) if not torch.equal(forward(*given[index])[0], expected[index]))

    threads = [threading.Thread(target=many, args=(index,)) for index in range(2)]
    for each in threads:
        each.start()
    for each in threads:
        each.join(60)
    assert not wrong
    assert not any(each.is_alive() for each in threads)


def woken_in(forward: Callable[..., Any], x: torch.Tensor) -> int:
    """Return how often another thread woke in the middle half of a forward."""
    woke: list[float] = []
    done = threading.Event()

    def sleeper() -> None:
        while not done.wait(0.001):
            woke.append(time.perf_counter())

    other = threading.Thread(target=sleeper)
    other.start()
    began = time.perf_counter()
    with torch.inference_mode():
        forward(x)
    ended = time.perf_counter()
    done.set()
    other.join()
    quarter = (ended - began) / 4
    return sum(began + quarter < each < ended - quarter for each in woke)


def test_another_thread_wakes_while_a_forward_runs_and_in_torchs_loader_it_does_not(long: Path) -> None:
    x = torch.rand(2048, 1024)
    assert woken_in(load(long, CPU), x) > 0
    assert woken_in(through_torch(long), x) == 0


def test_the_event_loop_and_the_watchdog_live_while_a_forward_runs(long: Path) -> None:
    forward, x = load(long, CPU), torch.rand(2048, 1024)
    heartbeat = Heartbeat()
    ended: list[str] = []

    async def served() -> int:
        loop, turns = asyncio.get_running_loop(), 0
        Watchdog(heartbeat, loop, lambda: 60.0, ended.append).start()
        running = loop.run_in_executor(None, forward, x)
        while not running.done():
            await asyncio.sleep(0.001)
            turns += 1
        assert torch.equal((await running)[0], forward(x)[0])
        return turns

    assert asyncio.run(served()) > 10
    assert not ended


def test_an_operator_that_needs_torchs_executor_goes_through_torchs_loader(custom: Path) -> None:
    forward = load(custom, CPU)
    assert isinstance(forward, Loaded)
    for rows in (1, 2, 5):
        x = torch.rand(rows, 4)
        found = forward(x)
        assert list(found) == ["two", "one"]
        assert torch.equal(found["two"], x * 2)
        assert torch.equal(found["one"], x + 1)
    with pytest.raises(ValueError, match="input 0 is float64"):
        forward(torch.rand(2, 4).double())


@pytest.mark.parametrize("name", ["unsafe_alloc_void_ptrs_from_tensors", "alloc_tensors_by_stealing_from_void_ptrs"])
def test_a_torch_without_these_names_uses_its_loader(words: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.delattr(torch._C._aoti, name)
    assert isinstance(load(words, CPU), Loaded)


def test_a_library_without_a_function_uses_the_loader(words: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(aoti_container, "_PREFIX", "AOTInductorOtherContainer")
    assert isinstance(load(words, CPU), Loaded)


def test_torch_has_what_this_file_knows_of_it(words: Path) -> None:
    """Fails with a torch that changed its private interface: then forwards would hold the interpreter."""
    assert all(hasattr(torch._C._aoti, name) for name in aoti_container._NEEDED)
    with zipfile.ZipFile(words) as archive:
        assert aoti_container.runs_freely(archive)
        source = next(archive.read(each).decode() for each in archive.namelist() if each.endswith("wrapper.cpp"))
    assert "inputs = steal_from_raw_handles_to_raii_handles(input_handles, 2)" in source
    for name in ("CreateWithDevice", "Delete", "Run", "GetNumInputs", "GetNumOutputs"):
        assert f"AOTIRuntimeError AOTInductorModelContainer{name}(" in source
    assert "AOTInductorGetLastError(" in source
    assert isinstance(load(words, CPU), Container)


def test_a_package_is_unpacked_once_and_again_if_the_file_is_damaged(
    words: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PITSTOP_CACHE", str(tmp_path))
    load(words, CPU)
    [library] = (tmp_path / "aoti").rglob("*.so")
    assert cache.used_bytes() == library.stat().st_size
    first = library.stat().st_ino
    load(words, CPU)
    assert library.stat().st_ino == first
    library.unlink()
    library.write_bytes(b"damaged")
    assert load(words, CPU)(*ids(3, 4))[0].shape == (3, 4)
    assert [each.stat().st_size > 1000 for each in (tmp_path / "aoti").rglob("*") if each.is_file()] == [True]


def test_where_the_cache_cannot_be_written_it_runs_all_the_same(
    words: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "aoti").write_text("in the way")
    monkeypatch.setenv("PITSTOP_CACHE", str(tmp_path))
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    assert isinstance(forward := load(words, CPU), Container)
    assert forward(*ids(3, 4))[0].shape == (3, 4)
    assert [each.name for each in tmp_path.iterdir()] == ["aoti"]


def test_many_threads_unpack_one_file(words: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PITSTOP_CACHE", str(tmp_path))
    found: list[Any] = []
    threads = [threading.Thread(target=lambda: found.append(load(words, CPU))) for _ in range(4)]
    for each in threads:
        each.start()
    for each in threads:
        each.join(60)
    assert len([each for each in (tmp_path / "aoti").rglob("*") if each.is_file()]) == 1
    assert all(torch.equal(each(*ids(3, 4))[0], found[0](*ids(3, 4))[0]) for each in found)


@pytest.mark.parametrize("keep", [0.0, 0.5, 0.99])
def test_a_package_that_is_cut_off_is_an_error_and_no_crash(words: Path, tmp_path: Path, keep: float) -> None:
    cut = tmp_path / "cut.pt2"
    data = words.read_bytes()
    cut.write_bytes(data[: int(len(data) * keep)])
    with pytest.raises(zipfile.BadZipFile):
        load(cut, CPU)


def test_a_package_with_other_bytes_inside_is_an_error_and_no_crash(
    words: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PITSTOP_CACHE", str(tmp_path / "cache"))
    with zipfile.ZipFile(words) as archive:
        [library] = [each for each in archive.infolist() if each.filename.endswith(".so")]
    data = bytearray(words.read_bytes())
    data[library.header_offset + library.file_size // 2] ^= 0xFF
    damaged = tmp_path / "damaged.pt2"
    damaged.write_bytes(data)
    with pytest.raises(zipfile.BadZipFile, match="CRC"):
        load(damaged, CPU)
    assert not [each for each in (tmp_path / "cache").rglob("*") if each.is_file()]


def test_a_package_of_somebody_elses_is_refused(words: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.pt2"
    with zipfile.ZipFile(words) as given, zipfile.ZipFile(other, "w") as made:
        for each in given.namelist():
            made.writestr(each, given.read(each).replace(b"pitstop_expected", b"something_other_"))
    with pytest.raises(ValueError, match="does not say what it takes"):
        load(other, CPU)


def test_memory_comes_back_when_forwards_are_dropped(long: Path) -> None:
    weights_kib = 4 * 1024

    def resident_kib(rounds: int) -> int:
        for _ in range(rounds):
            load(long, CPU)(torch.ones(1, 1024))
        lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS"))

    first = resident_kib(5)
    assert resident_kib(20) - first < 2 * weights_kib


def test_computed_sizes_agree_with_their_symbol() -> None:
    from models.compile.expected_inputs import ExpectedInput

    given = (ExpectedInput("float32", ("s0", "16*s1")), ExpectedInput("float32", ("s0", "s1")))
    for inputs in (given, given[:1]):
        expected = Expected(inputs, {"s0": (1, 8), "s1": (1, 4)})
        fits = [torch.ones(2, 32), torch.ones(2, 2)][: len(inputs)]
        assert [each.shape for each in expected.ready(fits)] == [each.shape for each in fits]
        for wrong in (33, 128, 0):
            with pytest.raises(ValueError, match="compiled for"):
                expected.ready([torch.ones(2, wrong), *fits[1:]])


def test_what_the_loader_wrote_into_stays_whatever_mapping_follows_it() -> None:
    # The last one is the .bss, which nobody has touched yet.
    mapped = [
        ("10-20", "r--p", "/a.so", 0),
        ("20-30", "r-xp", "/a.so", 0),
        ("30-40", "r--p", "/a.so", 4),
        ("40-50", "rw-p", "", 0),
        ("50-60", "r--p", "/other/a.so", 0),
    ]
    smaps = "\n".join(
        f"{span} {mode} 0 fe:00 7 {file}\nRss: 4 kB\nAnonymous: {kib} kB" for span, mode, file, kib in mapped
    )
    assert list(aoti_container.unwritten(smaps, "/a.so")) == [(0x10, 0x20)]
