import errno
import io
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from pipeline.disk import DiskError
from pipeline.files import remove_unused_folders, whole_file, write_once, write_text, write_together


def test_a_file_appears_when_its_block_ends_well(tmp_path: Path) -> None:
    target = tmp_path / "new" / "scan.nii.gz"
    with whole_file(target) as temporary:
        # The same folder, or a rename would be a copy; the same ending, or writers choose another format.
        assert temporary.parent == target.parent
        assert temporary.name.endswith(".nii.gz")
        temporary.write_bytes(b"whole")
        assert not target.exists()
    assert target.read_bytes() == b"whole"
    assert list(target.parent.iterdir()) == [target]


def test_a_file_gets_its_name_when_the_disk_has_its_content(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target, synced = tmp_path / "model.pt", []

    def sync(descriptor: int) -> None:
        synced.append((os.pread(descriptor, 10, 0), target.exists()))

    monkeypatch.setattr(os, "fsync", sync)
    with whole_file(target) as temporary:
        temporary.write_bytes(b"weights")
    assert synced == [(b"weights", False)]


@pytest.mark.parametrize(("number", "is_written"), [(errno.EINVAL, True), (errno.ENOSPC, False), (errno.EIO, False)])
def test_a_disk_may_say_last_that_it_is_full(
    number: int, is_written: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Network disks do. A pipe-like file system without such a call says EINVAL.
    def sync(_: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "fsync", sync)
    target = tmp_path / "scan.nii.gz"
    if is_written:
        write_text(target, "whole")
    else:
        with pytest.raises(DiskError) as caught:
            write_text(target, "whole")
        assert caught.value.filename == str(target)
    assert [path.name for path in tmp_path.iterdir()] == ["scan.nii.gz"] * is_written


@pytest.mark.parametrize("before", [None, "old"])
def test_a_block_that_fails_leaves_what_was_there(tmp_path: Path, before: str | None) -> None:
    target = tmp_path / "report.json"
    if before is not None:
        target.write_text(before)

    def fail() -> None:
        with whole_file(target) as temporary:
            temporary.write_text("half")
            raise RuntimeError("disk full")

    with pytest.raises(RuntimeError, match="disk full"):
        fail()
    assert [path.read_text() for path in tmp_path.iterdir()] == ([] if before is None else [before])


@pytest.mark.parametrize("written", [True, False])
def test_an_error_names_the_file_and_not_its_temporary_name(tmp_path: Path, written: bool) -> None:
    target = tmp_path / "taken"
    target.mkdir()

    def fail() -> None:
        with whole_file(target) as temporary:
            if written:
                temporary.write_text("whole")
            else:
                raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(OSError, match=str(target)) as raised:
        fail()
    assert raised.value.errno == (errno.EISDIR if written else errno.ENOSPC)
    assert (raised.value.filename, raised.value.filename2) == (str(target), None)
    assert list(tmp_path.iterdir()) == [target]


def test_a_device_or_a_pipe_is_not_replaced_by_a_file(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with pytest.raises(FileExistsError, match="A device or a pipe"):
        write_text(pipe, "text")
    assert pipe.is_fifo()
    assert list(tmp_path.iterdir()) == [pipe]


def test_text_keeps_its_line_ends(tmp_path: Path) -> None:
    write_text(tmp_path / "a.csv", "µ\r\nb\n")
    assert (tmp_path / "a.csv").read_bytes() == b"\xc2\xb5\r\nb\n"


def test_new_folders_that_stay_empty_are_removed(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    for folder in ("there", "there/new/deep", "new", "never/made"):
        with remove_unused_folders(tmp_path / folder):
            if folder != "never/made":
                (tmp_path / folder).mkdir(parents=True, exist_ok=True)
    assert [path.name for path in tmp_path.rglob("*")] == ["there"]


def test_new_folders_with_files_stay(tmp_path: Path) -> None:
    with remove_unused_folders(tmp_path / "new" / "deep" / "er"):
        (tmp_path / "new" / "deep" / "er").mkdir(parents=True)
        (tmp_path / "new" / "deep" / "file").touch()
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["deep", "file", "new"]


def test_new_folders_are_removed_after_an_error(tmp_path: Path) -> None:
    def fail() -> None:
        with remove_unused_folders(tmp_path / "new"):
            (tmp_path / "new").mkdir()
            raise ValueError("reason")

    with pytest.raises(ValueError, match="reason"):
        fail()
    assert not list(tmp_path.iterdir())


def test_of_several_processes_one_writes(tmp_path: Path) -> None:
    target = tmp_path / "new" / "plan.json"
    with ThreadPoolExecutor(8) as workers:
        wrote = list(workers.map(lambda text: write_once(target, text), map(str, range(100))))
    assert wrote.count(True) == 1
    assert target.read_text() == str(wrote.index(True))
    assert list(target.parent.iterdir()) == [target]


def test_a_file_system_without_links(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(Path, "hardlink_to", refuse)
    assert write_once(tmp_path / "plan.json", "first")
    assert not write_once(tmp_path / "plan.json", "second")
    assert [file.read_text() for file in tmp_path.iterdir()] == ["first"]


def test_a_full_disk_is_an_error_when_a_file_is_written_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "hardlink_to", refuse)
    with pytest.raises(OSError, match="No space"):
        write_once(tmp_path / "plan.json", "first")
    assert list(tmp_path.iterdir()) == []


def test_a_disk_that_is_full_without_links_leaves_no_half_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened = Path.open

    def refuse(*_: object) -> None:
        raise OSError(errno.EPERM, "Operation not permitted")

    class FullStream(io.BytesIO):
        def write(self, _data: object) -> int:
            raise OSError(errno.ENOSPC, "No space left on device")

    def open_full(path: Path, mode: str = "r", *rest: object, **more: object) -> object:
        stream = opened(path, mode, *rest, **more)
        if mode != "xb":
            return stream
        stream.close()
        return FullStream()

    monkeypatch.setattr(Path, "hardlink_to", refuse)
    monkeypatch.setattr(Path, "open", open_full)
    with pytest.raises(DiskError) as raised:
        write_once(tmp_path / "plan.json", "first")
    assert raised.value.filename == str(tmp_path / "plan.json")
    assert list(tmp_path.iterdir()) == []


def test_files_that_belong_together_are_replaced_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cases, summary = tmp_path / "cases.csv", tmp_path / "new" / "summary.json"
    write_together({summary: "1", cases: "1"})
    written = Path.write_bytes

    def write_little(path: Path, data: bytes) -> int:
        if path.name.endswith("cases.csv"):
            raise OSError(errno.ENOSPC, "No space left on device")
        return written(path, data)

    monkeypatch.setattr(Path, "write_bytes", write_little)
    with pytest.raises(DiskError) as raised:
        write_together({summary: "2", cases: "2"})
    assert raised.value.filename == str(cases)
    assert [cases.read_text(), summary.read_text()] == ["1", "1"]
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["cases.csv", "new", "summary.json"]
