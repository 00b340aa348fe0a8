"""A full or broken disk: one message with the file, the disk, what is free and what is needed."""

import errno
import os
import pickle
import threading
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pytest

from pipeline import disk, streams
from pipeline.data.errors import InputError, disk_message, explain_errors
from pipeline.disk import DiskError, explain_disk_error, find_disk_error, is_unreachable
from pipeline.files import whole_file, write_text
from pipeline.mounts import find_mount

FULL = OSError(errno.ENOSPC, "No space left on device")
TORCH = RuntimeError("[enforce fail at inline_container.cc:862] . PytorchStreamWriter failed writing file data/1: file")
UNEXPECTED = RuntimeError("[enforce fail at inline_container.cc:664] . unexpected pos 64 vs 0")


def explain(error: BaseException, path: Path) -> str:
    """Write a file, during which an error is raised, and return the message for what comes out."""
    try:
        with whole_file(path) as temporary:
            temporary.write_bytes(b"12345")
            raise error
    except (OSError, RuntimeError) as raised:
        assert list(path.parent.iterdir()) in ([], [path])
        return explain_disk_error(raised) or ""


@pytest.mark.parametrize(
    ("error", "free", "words"),
    [
        (FULL, 0, "no space left on the disk"),
        (OSError(errno.EDQUOT, "Disk quota exceeded"), 10**9, "its quota used up on the disk"),
        (OSError(errno.EIO, "Input/output error"), 10**9, "an input or output error on the disk"),
        (OSError(errno.EROFS, "Read-only file system"), 10**9, "a read-only file system on the disk"),
        (OSError(errno.ESTALE, "Stale file handle"), 10**9, "a file that its server has lost on the disk"),
        (
            OSError(errno.ENOTCONN, "Transport endpoint is not connected"),
            10**9,
            "a server that cannot be reached on the disk",
        ),
        (
            OSError(errno.ECONNABORTED, "Software caused connection abort"),
            10**9,
            "a server that cannot be reached on the disk",
        ),
        # PyTorch names no reason: the disk does.
        (TORCH, 0, "no space left on the disk"),
        (TORCH, 10**9, "an input or output error on the disk"),
        (UNEXPECTED, 0, "no space left on the disk"),
        (
            RuntimeError("unable to write to </x>: No space left on device (28)"),
            10**9,
            "no space left on the disk",
        ),
    ],
    ids=[
        "full",
        "quota",
        "broken",
        "read-only",
        "lost by a server",
        "no server",
        "no server any more",
        "PyTorch, full",
        "PyTorch, broken",
        "PyTorch's end",
        "a worker",
    ],
)
def test_the_message_names_file_and_disk(
    error: BaseException, free: int, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(disk, "_free_bytes", lambda _: free)
    text = explain(error, tmp_path / "last.pt")
    assert text.startswith(f"{tmp_path / 'last.pt'}: found {words} at {find_mount(tmp_path)}")
    assert text.count("What to do: ") == 1
    assert ("more than 5 bytes needed" in text) == ("disk at" in text)
    assert ("free" in text.partition("expected")[0]) == (words.startswith(("no space", "its quota")))


def test_of_a_copy_the_file_that_does_not_fit_is_named(tmp_path: Path) -> None:
    # As shutil raises it: the source comes first.
    error = OSError(errno.ENOSPC, "No space left on device", "/elsewhere/LICENSE", None, str(tmp_path / "LICENSE"))
    assert (explain_disk_error(error) or "").startswith(f"{tmp_path / 'LICENSE'}: found no space left")
    assert explain(error, tmp_path / "a").startswith(f"{tmp_path / 'LICENSE'}: ")


def test_a_file_that_is_replaced_says_how_much_is_needed(tmp_path: Path) -> None:
    (tmp_path / "last.pt").write_bytes(bytes(3_000_000))
    assert "more than 3 MB needed" in explain(FULL, tmp_path / "last.pt")
    assert (tmp_path / "last.pt").stat().st_size == 3_000_000


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError("mat1 and mat2 shapes cannot be multiplied"),
        OSError(errno.EACCES, "Permission denied"),
        ValueError("No space left on device"),
        OSError(errno.EIO, "Input/output error", "/a/scan.nii.gz"),
    ],
    ids=["bug", "no right", "words of a value", "a scan that cannot be read"],
)
def test_other_errors_stay_what_they_are(error: BaseException, tmp_path: Path) -> None:
    with pytest.raises(type(error)) as raised, whole_file(tmp_path / "a"):
        raise error
    assert raised.value is error


def chain(*errors: BaseException) -> BaseException:
    """Return the first error, whose cause is the second, and so on."""
    for error, cause in pairwise(errors):
        error.__cause__ = cause
    return errors[0]


def test_the_whole_chain_is_searched_and_a_named_file_comes_first() -> None:
    named = DiskError(errno.ENOSPC, "No space left on device", "/data/a.csv")
    outer = chain(RuntimeError("run"), OSError(errno.ENOSPC, "No space left"), ValueError("x"), named)
    assert find_disk_error(outer) is named
    assert find_disk_error(chain(RuntimeError("run"), ValueError("x"))) is None
    circle = chain(RuntimeError("a"), RuntimeError("b"))
    assert circle.__cause__ is not None
    circle.__cause__.__cause__ = circle
    assert find_disk_error(circle) is None


@pytest.mark.parametrize("as_name", [str, os.fsencode], ids=["text", "bytes"])
def test_the_file_of_a_library_is_found_in_its_functions(
    as_name: Callable[[Path], str | bytes], tmp_path: Path
) -> None:
    def write(filename: str | bytes) -> None:
        raise OSError(errno.ENOSPC, "No space left on device" * bool(filename))

    file = tmp_path / "events.out.tfevents.1"
    with pytest.raises(OSError, match="No space") as raised:
        write(as_name(file))
    # pytest's own functions have no such names.
    assert (explain_disk_error(raised.value) or "").startswith(f"{file}: found no space left on")


def test_without_any_name_the_full_disks_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(disk, "_free_bytes", lambda _: 0)
    assert f"the disk at {find_mount(tmp_path)}" in (explain_disk_error(FULL) or "")


def test_an_error_comes_whole_out_of_a_process() -> None:
    error = DiskError(errno.ENOSPC, "No space left on device", "/a/b")
    error.needed, error.free = 7, 3
    again = pickle.loads(pickle.dumps(error))
    assert (again.errno, again.filename, again.needed, again.free) == (errno.ENOSPC, "/a/b", 7, 3)


def test_a_message_for_users_that_names_the_disk_stays(tmp_path: Path) -> None:
    folder, archive = (
        chain(InputError(tmp_path, found=found, expected="y", remedy="z"), FULL)
        for found in ("a folder that cannot be written to", "a disk that became full during unpacking")
    )
    assert (disk_message(folder) or "").startswith(f"{tmp_path}: found no space left on the disk at")
    assert disk_message(archive) == str(archive)
    unreadable = InputError("scan.nii.gz", found="a file that cannot be read", expected="y", remedy="z")
    assert disk_message(chain(unreadable, OSError(errno.EIO, "Input/output error"))) is None
    assert disk_message(chain(unreadable, OSError(errno.EROFS, "Read-only file system"))) is None


def test_a_lost_connection_of_a_socket_is_no_disk() -> None:
    assert find_disk_error(OSError(errno.ECONNABORTED, "Software caused connection abort")) is None
    assert find_disk_error(OSError(errno.ETIMEDOUT, "timed out", "last.pt")) is not None


def test_a_folder_is_unreachable_without_its_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert not is_unreachable(tmp_path)
    assert not is_unreachable(tmp_path / "missing")

    def fail(path: Path) -> None:
        raise OSError(errno.ENOTCONN, os.strerror(errno.ENOTCONN), str(path))

    monkeypatch.setattr(disk.os, "stat", fail)
    assert is_unreachable(tmp_path)


def test_a_runner_ends_with_the_message(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    import sys  # noqa: PLC0415

    monkeypatch.setattr(sys, "excepthook", lambda *_: None)
    explain_errors()
    error = DiskError(errno.ENOSPC, "No space left on device", "/run/last.pt")
    sys.excepthook(DiskError, chain(RuntimeError("engine"), error), None)
    assert capsys.readouterr().err.startswith("error: /run/last.pt: found no space left on the disk at ")


class AsyncWriter(threading.Thread):
    """As TensorBoard's thread, whose error the main thread raises again."""


AsyncWriter.__name__ = "_AsyncWriterThread"


@pytest.mark.parametrize(
    ("thread", "error", "told"),
    [(AsyncWriter, FULL, 0), (AsyncWriter, ValueError("bug"), 1), (threading.Thread, FULL, 1)],
)
def test_tensorboards_thread_prints_no_traceback_for_a_full_disk(
    thread: Callable[..., threading.Thread], error: Exception, told: int
) -> None:
    told_of: list[object] = []
    given = threading.ExceptHookArgs((type(error), error, None, thread()))
    streams._handle_thread(told_of.append, given)
    assert len(told_of) == told


def test_a_whole_file_after_all(tmp_path: Path) -> None:
    write_text(tmp_path / "a", "x")
    assert (tmp_path / "a").read_text() == "x"
