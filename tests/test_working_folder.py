"""The working folder is removed while a command works in it."""

import sys
from pathlib import Path

import pytest

from pipeline import working_folder
from pipeline.cli import main
from pipeline.data.errors import InputError, removed_folder_error
from pipeline.data.faults import explain_fault, is_explained
from pipeline.working_folder import find_removed, leave_removed, remember_folder

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows keeps a folder that a process works in")


@pytest.fixture
def removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder that is gone."""
    folder = tmp_path / "work"
    folder.mkdir()
    monkeypatch.chdir(folder)
    monkeypatch.setattr(working_folder, "_first", [])
    remember_folder()
    assert find_removed() is None
    folder.rmdir()
    return folder


def test_its_path_is_named(removed: Path) -> None:
    assert find_removed() == str(removed)
    error = removed_folder_error()
    assert error is not None
    assert error.where == str(removed)


def test_the_end_of_the_process_finds_a_folder(removed: Path) -> None:
    leave_removed()
    assert Path.cwd() == Path("/")


def test_a_folder_that_is_there_is_not_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    leave_removed()
    assert Path.cwd() == tmp_path
    assert removed_folder_error() is None


@pytest.mark.parametrize("words", ["check list.json", "render bundle", "compare labels a=others -o out"])
def test_a_verb_ends_with_one_message(removed: Path, words: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(words.split()) == 2
    told = capsys.readouterr().err
    assert told.startswith(f"error: {removed}: found no such folder any more")
    assert told.count("\n") == 1


def test_a_command_that_starts_in_a_folder_that_is_gone(removed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(working_folder, "_first", [])
    remember_folder()
    assert find_removed() == "the working folder"


def test_a_training_or_evaluation_logs_no_error_of_its_own(removed: Path) -> None:
    error = FileNotFoundError(2, "No such file or directory")
    assert is_explained(error)
    explained = explain_fault(error, where=Path("runs"), doing="training in epoch 1", memory_remedy="")
    assert isinstance(explained, InputError)
    assert explained.where == str(removed)
