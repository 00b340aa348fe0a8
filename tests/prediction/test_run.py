"""Many scans in turn: their order, what happens beside the network, and that one that fails stops no other."""

import errno
import json
import os
import threading
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from pipeline.data.errors import InputError
from pipeline.labelmaps.label_table import make_label_table
from pipeline.prediction import run as module
from pipeline.prediction.inputs import ScanInput
from pipeline.prediction.outputs import Outputs, Wanted
from pipeline.prediction.prediction import Prediction
from pipeline.prediction.records import Records
from pipeline.prediction.result import Job, Result, as_record
from pipeline.prediction.run import predict_scans

SHAPE = (5, 4, 3)
PATIENCE = 300  # seconds until a test gives up on what should happen at once


class Scan:
    """What a stand-in for the predictor has read; weak references need a class."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.scan_shape = SHAPE


class Stub:
    """A predictor that computes nothing, and does what a test says at each step."""

    def __init__(self) -> None:
        self.bundle = SimpleNamespace(classes=2, loader=None)
        self.before: dict[tuple[str, str], Callable[[], Any]] = {}
        self.seen: list[tuple[str, str]] = []
        self.threads: dict[tuple[str, str], threading.Thread] = {}
        self.budget = SimpleNamespace(memory=None)
        self.ahead = 0
        self.fits = True
        self.beside = 0
        self.scans: list[weakref.ref[Scan]] = []
        self.reserved: dict[str, int] = {}

    def step(self, what: str, name: str) -> None:
        self.seen.append((what, name))
        self.threads[(what, name)] = threading.current_thread()
        self.before.get((what, name), lambda: None)()

    def prepare(self, files: tuple[str, ...]) -> Scan:
        name = Path(files[0]).name
        self.step("prepare", name)
        scan = Scan(name)
        self.scans.append(weakref.ref(scan))
        return scan

    def preparation_bytes(self, *_: Any) -> int:
        return self.ahead

    def rereading_bytes(self, _: Scan) -> int:
        return self.beside

    def has_room(self, *_: Any, **__: Any) -> bool:
        return self.fits

    def segment(self, prepared: Scan, *, reserved: int, **_: Any) -> Prediction:
        self.reserved[prepared.name] = reserved
        self.step("segment", prepared.name)
        labels = np.zeros(SHAPE, np.uint8)
        labels[1:3, 1:3, 1:3] = 1
        return Prediction(labels, np.eye(4), make_label_table({"background": 0, "core": 1}), seconds={"network": 1.0})


@pytest.fixture(params=[1, 2], ids=["one thread", "two threads"])
def threads(request: pytest.FixtureRequest) -> Iterator[int]:
    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    yield request.param
    torch.set_num_threads(before)


@pytest.fixture
def two_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def stub(monkeypatch: pytest.MonkeyPatch) -> Stub:
    stub = Stub()
    save = module.write_outputs

    def write(*args: Any, name: str, **kwargs: Any) -> None:
        stub.step("write", name)
        save(*args, name=name, **kwargs)

    monkeypatch.setattr(module, "write_outputs", write)
    return stub


def start(stub: Stub, folder: Path, names: str = "abc", **options: Any) -> Iterator[Result]:
    """Segment scans, whose files are called like them, into `out`."""
    scans = []
    for name in names:
        (folder / name).write_bytes(b"voxels")
        scans.append(ScanInput(name, (str(folder / name),)))
    wanted = options.pop("wanted", Wanted())
    given = {"progress": False, **options}
    return predict_scans(stub, scans, lambda name: Outputs.of(name, folder / "out", wanted), wanted, **given)  # type: ignore[arg-type]


def until_interrupted(results: Iterator[Result]) -> list[Result]:
    known = []
    try:
        for result in results:
            known.append(result)
    except KeyboardInterrupt:
        return known
    return pytest.fail("nothing was interrupted")


def written(folder: Path) -> list[str]:
    return sorted(path.name for path in (folder / "out").rglob("*") if path.is_file())


def fails(error: BaseException) -> Callable[[], None]:
    def fail() -> None:
        raise error

    return fail


def test_results_come_in_order(stub: Stub, threads: int, tmp_path: Path) -> None:
    told: list[str] = []
    results = list(start(stub, tmp_path, "cabd", on_result=lambda result: told.append(result.name)))
    assert [result.name for result in results] == told == list("cabd")
    assert {result.status for result in results} == {"done"}
    assert written(tmp_path) == [f"{name}_seg.nii.gz" for name in "abcd"]
    assert set(results[0].seconds or ()) == {"network", "writing"}


def test_with_one_thread_everything_happens_in_it(stub: Stub, one_thread: None, tmp_path: Path) -> None:
    list(start(stub, tmp_path, "ab"))
    assert set(stub.threads.values()) == {threading.main_thread()}
    assert stub.seen == [(step, name) for name in "ab" for step in ("prepare", "segment", "write")]


def test_the_next_scan_is_read_while_the_network_computes(stub: Stub, two_threads: None, tmp_path: Path) -> None:
    read = threading.Event()
    stub.before["prepare", "b"] = read.set
    stub.before["segment", "a"] = lambda: read.wait(PATIENCE) or pytest.fail("it was not read meanwhile")
    assert [result.status for result in start(stub, tmp_path, "ab")] == ["done", "done"]
    assert stub.threads["segment", "a"] is threading.main_thread()


def test_the_last_scan_is_written_while_the_network_computes(stub: Stub, two_threads: None, tmp_path: Path) -> None:
    computing = threading.Event()
    stub.before["segment", "b"] = computing.set
    stub.before["write", "a"] = lambda: computing.wait(PATIENCE) or pytest.fail("it was waited for")
    assert [result.status for result in start(stub, tmp_path, "ab")] == ["done", "done"]


def test_no_more_than_one_scan_waits_for_the_disk(stub: Stub, two_threads: None, tmp_path: Path) -> None:
    waiting: list[int] = []

    def count() -> None:
        segmented = sum(step == "segment" for step, _ in stub.seen)
        waiting.append(segmented - sum(step == "write" for step, _ in stub.seen))

    stub.before = {("segment", name): count for name in "abcd"}
    list(start(stub, tmp_path, "abcd"))
    # The one that begins counts, and one before it.
    assert len(waiting) == 4
    assert max(waiting) <= 2


def test_the_next_scan_waits_where_memory_holds_only_one(stub: Stub, two_threads: None, tmp_path: Path) -> None:
    stub.fits = False
    list(start(stub, tmp_path, "ab"))
    assert stub.seen.index(("segment", "a")) < stub.seen.index(("prepare", "b"))
    assert stub.reserved == {"a": 0, "b": 0}


def test_memory_is_left_to_what_is_read_ahead(stub: Stub, two_threads: None, tmp_path: Path) -> None:
    stub.ahead = 12345
    list(start(stub, tmp_path, "ab"))
    assert stub.reserved == {"a": 12345, "b": 0}


def test_with_a_bound_a_scan_is_not_read_beside_one_that_is_written(
    stub: Stub, two_threads: None, tmp_path: Path
) -> None:
    stub.fits, stub.budget.memory = False, 10**9
    list(start(stub, tmp_path, "ab"))
    assert stub.seen.index(("write", "a")) < stub.seen.index(("prepare", "b"))


STEPS = ("prepare", "segment", "write")


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("which", "abc")
def test_one_that_fails_stops_no_other(step: str, which: str, stub: Stub, threads: int, tmp_path: Path) -> None:
    stub.before[step, which] = fails(InputError(tmp_path / which, found="x", expected="y", remedy="z"))
    results = list(start(stub, tmp_path))
    assert {result.name: result.status for result in results} == {
        name: "failed" if name == which else "done" for name in "abc"
    }
    (failed,) = [result for result in results if result.status == "failed"]
    assert failed.error == f"{tmp_path / which}: found x; expected y. What to do: z."
    assert failed.traceback is None
    assert written(tmp_path) == [f"{name}_seg.nii.gz" for name in "abc" if name != which]


MESSAGES: dict[str, tuple[Exception, str, bool]] = {
    "bug": (RuntimeError("dimension 3"), "a: RuntimeError: dimension 3", True),
    "memory": (MemoryError(), "does not fit into memory", False),
    "NumPy's memory": (RuntimeError("Unable to allocate 3 GiB"), "does not fit into memory", False),
    "a GPU's memory": (RuntimeError("CUDA out of memory"), "does not fit into memory", False),
    "no right": (PermissionError(errno.EACCES, "Permission denied", "/x/y"), "/x/y: found permission denied", False),
    "full": (OSError(errno.ENOSPC, "No space left on device"), "out: found no space left on the disk at ", False),
    "no file": (InputError("--memory", found="1", expected="2", remedy="3"), "a: --memory: found 1", False),
    "wrapped": (RuntimeError("transform"), "/scan: found x", False),
}
MESSAGES["wrapped"][0].__cause__ = InputError("/scan", found="x", expected="y", remedy="z")


@pytest.mark.parametrize("name", MESSAGES)
def test_an_error_is_told_in_words(name: str, stub: Stub, tmp_path: Path) -> None:
    error, words, bug = MESSAGES[name]
    stub.before["segment", "a"] = fails(error)
    (result,) = start(stub, tmp_path, "a")
    assert words in (result.error or "")
    assert (result.traceback is not None) == bug
    if not bug:
        assert "What to do: " in (result.error or "")


@pytest.mark.parametrize(("number", "tried"), [(errno.ENOSPC, "abc"), (errno.EROFS, "abc"), (errno.EIO, "abcdefgh")])
def test_a_disk_that_takes_nothing_ends_all(number: int, tried: str, stub: Stub, threads: int, tmp_path: Path) -> None:
    for name in "bcdefgh":
        stub.before["write", name] = fails(OSError(number, os.strerror(number)))
    results = list(start(stub, tmp_path, "abcdefgh"))
    assert [result.name for result in results] == list("abcdefgh")
    assert [result.status for result in results] == ["done", *["failed"] * 7]
    # One message. With threads a scan or two were begun before it.
    assert [result.name for result in results if result.error and not result.not_tried] == list(
        "bcdefgh" if tried == "abcdefgh" else "b"
    )
    assert len(stub.reserved) <= len(tried) + (threads > 1)
    assert all(result.of_disk for result in results[1:])


@pytest.mark.parametrize("step", ["segment", "write"])
def test_nothing_of_a_scan_that_failed_stays_in_memory(step: str, stub: Stub, one_thread: None, tmp_path: Path) -> None:
    def fail() -> None:
        # A new one: an error that is kept keeps what was in memory when it was raised.
        raise ValueError("bug")

    alive: list[bool] = []
    stub.before[step, "a"] = fail
    stub.before["prepare", "b"] = lambda: alive.extend(scan() is not None for scan in stub.scans)
    assert [result.status for result in start(stub, tmp_path, "ab")] == ["failed", "done"]
    assert alive == [False]


@pytest.mark.parametrize("step", STEPS)
def test_an_interrupt_leaves_whole_files_and_tells_what_is_done(
    step: str, stub: Stub, threads: int, tmp_path: Path
) -> None:
    # Beside the network the main thread alone is interrupted.
    if threads == 2 and step != "segment":
        pytest.skip("not in the main thread")
    stub.before[step, "b"] = fails(KeyboardInterrupt())
    results = until_interrupted(start(stub, tmp_path, wanted=Wanted(probabilities=True)))
    assert [result.name for result in results] == ["a"]
    assert written(tmp_path) == ["a_seg.nii.gz"]


def test_what_is_being_written_is_finished_after_an_interrupt(stub: Stub, two_threads: None, tmp_path: Path) -> None:
    interrupted = threading.Event()

    def interrupt() -> None:
        interrupted.set()
        raise KeyboardInterrupt

    stub.before["segment", "b"] = interrupt
    stub.before["write", "a"] = lambda: interrupted.wait(PATIENCE) or pytest.fail("no interrupt")
    results = until_interrupted(start(stub, tmp_path))
    assert [(result.name, result.status) for result in results] == [("a", "done")]
    assert written(tmp_path) == ["a_seg.nii.gz"]


def test_what_was_written_is_reported_if_the_interrupt_comes_right_after(
    stub: Stub, two_threads: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    submit = module._submit

    def submit_and_interrupt(*arguments: Any) -> Any:
        future = submit(*arguments)
        if len(arguments) > 2 and isinstance(arguments[2], Job) and arguments[2].scan.name == "b":
            future.result()
            raise KeyboardInterrupt
        return future

    monkeypatch.setattr(module, "_submit", submit_and_interrupt)
    results = until_interrupted(start(stub, tmp_path))
    assert [(result.name, result.status) for result in results] == [("a", "done"), ("b", "done")]
    assert written(tmp_path) == ["a_seg.nii.gz", "b_seg.nii.gz"]


def test_finished_scans_are_skipped(stub: Stub, tmp_path: Path) -> None:
    records = Records(tmp_path / "out", {"fast": False})
    stub.before["segment", "b"] = fails(ValueError("bug"))
    list(start(stub, tmp_path, records=records))
    stub.before, stub.seen = {}, []
    results = list(start(stub, tmp_path, records=Records(tmp_path / "out", {"fast": False})))
    # The scans were touched above, so that all are done once more.
    assert [result.status for result in results] == ["done"] * 3
    stub.seen = []
    scans = [ScanInput(name, (str(tmp_path / name),)) for name in "abc"]
    place = lambda name: Outputs.of(name, tmp_path / "out", Wanted())  # noqa: E731
    again = list(predict_scans(stub, scans, place, Wanted(), records=records, progress=False))  # type: ignore[arg-type]
    assert [result.status for result in again] == ["skipped"] * 3
    assert [Path(again[0].outputs[0]).name] == ["a_seg.nii.gz"]
    assert stub.seen == []
    redone = predict_scans(stub, scans, place, Wanted(), records=records, overwrite=True, progress=False)  # type: ignore[arg-type]
    assert [result.status for result in redone] == ["done"] * 3


def test_a_problem_that_is_known_is_told_without_reading(stub: Stub, tmp_path: Path) -> None:
    problem = InputError(tmp_path / "a", found="x", expected="y", remedy="z")
    scan = ScanInput("a", (str(tmp_path / "a"),), problem)
    wanted = Wanted()
    (result,) = predict_scans(
        stub,  # type: ignore[arg-type]
        [scan],
        lambda name: Outputs.of(name, tmp_path / "out", wanted),
        wanted,
        progress=False,
    )
    assert (result.status, result.error) == ("failed", str(problem))
    assert stub.seen == []


def test_a_dicom_segmentation_of_no_series_is_refused_before_the_network(stub: Stub, tmp_path: Path) -> None:
    pytest.importorskip("pydicom")
    (result,) = start(stub, tmp_path, "a", wanted=Wanted(format="dicom-seg"))
    assert "DICOM series" in (result.error or "")
    assert stub.seen == []


def test_a_record_is_json_without_nan() -> None:
    result = Result("a", ("f",), "done", ("o",), {"network": 1.23456}, float("nan"), ("thin",))
    assert json.loads(json.dumps(as_record(result), allow_nan=False)) == {
        "name": "a",
        "files": ["f"],
        "status": "done",
        "outputs": ["o"],
        "seconds": {"network": 1.235},
        "uncertainty": None,
        "notes": ["thin"],
    }
