import json
import os
from pathlib import Path
from typing import Any

import pytest

from pipeline.data.errors import InputError
from pipeline.data.one_at_a_time import lock_name, locked_error, one_at_a_time, require_unlocked
from pipeline.locks import Holder, LockedError
from pipeline.owner import process_start, this_place

OWN: dict[str, Any] = {"host": "here", "pid": os.getpid(), "started": "2026-01-01 10:00:00 UTC"}
OWN |= {"place": this_place(), "start": process_start(os.getpid())}


def test_a_second_command_is_refused_with_the_name_of_the_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "new" / ".evaluation.lock"
    with one_at_a_time(file, file.parent, verb="lightskip evaluate"):
        with pytest.raises(InputError) as raised, one_at_a_time(file, file.parent, verb="lightskip evaluate"):
            pass
        with pytest.raises(InputError, match="another lightskip evaluate at work"):
            require_unlocked(file, file.parent)
        require_unlocked(file, file.parent, but_own=True)
        own = os.getpid()
        with monkeypatch.context() as patch:
            patch.setattr(os, "getpid", lambda: own + 1)
            with pytest.raises(InputError, match="another lightskip evaluate at work"):
                require_unlocked(file, file.parent, but_own=True)
    assert raised.value.where == file.parent
    assert f"another lightskip evaluate at work in it: process {os.getpid()} on " in raised.value.found
    require_unlocked(file, file.parent)
    assert list(file.parent.iterdir()) == []


def test_a_lock_that_was_left_is_taken_over_with_a_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "lock"
    file.write_text(json.dumps({**OWN, "verb": "lightskip evaluate"}))
    with one_at_a_time(file, tmp_path, verb="x"):
        pass
    assert capsys.readouterr().err == (
        f"note: {tmp_path}: lightskip evaluate (process {os.getpid()} on here, since 2026-01-01 10:00:00 UTC) did not "
        "come to its end; this one takes its place\n"
    )


def test_without_a_place_for_the_lock_the_work_fails_by_itself(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with one_at_a_time(tmp_path / "file" / "lock", tmp_path, verb="x"):
        pass
    with (
        pytest.raises(OSError, match="file"),
        one_at_a_time(tmp_path / "file" / "lock", tmp_path, verb="x", needed=True),
    ):
        pass


@pytest.mark.parametrize(
    ("holder", "found", "remedy"),
    [
        (OWN, f"another lightskip fit at work in it: process {os.getpid()} on here", "end it first"),
        ({**OWN, "start": 1}, "at work in it, or a step of one that was killed: process", "end it first"),
        ({**OWN, "place": "elsewhere"}, "on here, since 2026-01-01", "wait 5 minutes, or remove /run/.fit.lock"),
        ({}, "another lightskip fit at work in it, or a step of one that was killed", "end it first"),
    ],
    ids=["here", "killed", "elsewhere", "unknown"],
)
def test_the_message_says_who_and_what_to_do(holder: dict[str, Any], found: str, remedy: str) -> None:
    error = LockedError(Path("/run/.fit.lock"), Holder(**holder))
    told = locked_error("/run", error, verb="lightskip fit", or_else="a step of one that was killed")
    assert found in told.found
    assert told.remedy.endswith(remedy)


def test_the_locks_name_is_hidden_and_fits() -> None:
    assert lock_name("", "predict") == ".predict.lock"
    assert lock_name("scan.nii.gz", "predict") == ".scan.nii.gz.predict.lock"
    assert len(lock_name("x" * 250, "predict")) == 255


def test_a_folder_in_the_place_of_a_lock_is_named(tmp_path: Path) -> None:
    file = tmp_path / ".evaluation.lock"
    file.mkdir()
    with (
        pytest.raises(InputError, match=r"\.evaluation\.lock: found a folder"),
        one_at_a_time(file, tmp_path, verb="x"),
    ):
        pass
