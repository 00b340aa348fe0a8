"""Temporary files: those of killed processes go, all others stay."""

import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

from pipeline import leftovers
from pipeline.files import write_text
from pipeline.leftovers import fit_name, remove_leftovers, temporary_folder, temporary_path
from pipeline.owner import process_start, this_place

PIPELINE = Path(__file__).parents[1] / "pipeline"
ENDED = (os.getpid(), process_start(os.getpid()) + 1)  # this number again, of another process
ALIVE = (os.getpid(), process_start(os.getpid()))
OTHER_PLACE = "00000000" if this_place() != "00000000" else "11111111"
DAY = 86_400
EARLIER = ".0123456789ab4cde89abcdef01234567.scan.nii.gz"


def make(folder: Path, name: str, age: float = 0.0, *, is_folder: bool = False) -> Path:
    path = folder / name
    if is_folder:
        (path / "sub").mkdir(parents=True)
        (path / "sub" / "large").write_bytes(b"1")
    else:
        path.write_bytes(b"half")
    os.utime(path, (time.time() - age,) * 2)
    return path


def name_of(place: str, process: tuple[int, int], name: str = "scan.nii.gz") -> str:
    return f".ls-{place}-{process[0]:x}-{process[1]:x}-abc123.{name}"


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="elsewhere the start of a process is unknown")
@pytest.mark.parametrize(
    ("name", "age", "goes"),
    [
        (name_of(this_place(), ENDED), 0, True),
        # A clock that was set forward or back says nothing about a process of this machine.
        (name_of(this_place(), ENDED), -9 * DAY, True),
        (name_of(this_place(), ALIVE), 99 * DAY, False),
        (name_of(OTHER_PLACE, ENDED), 2 * DAY, False),
        (name_of(OTHER_PLACE, ENDED), 4 * DAY, True),
        (name_of(OTHER_PLACE, ENDED), -4 * DAY, False),
        (EARLIER, 2 * DAY, False),
        (EARLIER, 4 * DAY, True),
        ("." + "a" * 32 + ".scan.nii.gz", 99 * DAY, False),  # no UUID
        (".ls-notes.txt", 99 * DAY, False),
        (name_of(this_place(), ENDED)[1:], 99 * DAY, False),
    ],
    ids=[
        "ended",
        "ended later",
        "alive",
        "young",
        "old",
        "from later",
        "young UUID",
        "old UUID",
        "hash",
        "a user's",
        "not hidden",
    ],
)
@pytest.mark.parametrize("is_folder", [False, True], ids=["file", "folder"])
def test_what_no_process_writes_any_more_is_removed(
    name: str, age: float, goes: bool, is_folder: bool, tmp_path: Path
) -> None:
    path = make(tmp_path, name, age, is_folder=is_folder)
    assert remove_leftovers(tmp_path) == ([name] if goes else [])
    assert path.exists() != goes


def test_links_are_removed_and_not_followed(tmp_path: Path) -> None:
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept" / "file").touch()
    link = tmp_path / name_of(this_place(), ENDED)
    link.symlink_to(tmp_path / "kept")
    remove_leftovers(tmp_path)
    assert not link.is_symlink()
    assert (tmp_path / "kept" / "file").exists()


def test_writing_any_file_cleans_its_folder_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leftovers, "_cleaned", set())
    first = make(tmp_path, name_of(this_place(), ENDED))
    write_text(tmp_path / "other.json", "{}")
    assert not first.exists()
    second = make(tmp_path, name_of(this_place(), ENDED))
    write_text(tmp_path / "other.json", "{}")
    assert second.exists(), "a folder of 10,000 files would be listed at each write"


@pytest.mark.parametrize("name", ["a.nii.gz", "x" * 245 + ".nii.gz", "ä" * 120 + ".nii.gz"], ids=["short", "long", "ä"])
def test_a_temporary_name_is_one_that_a_disk_takes(name: str, tmp_path: Path) -> None:
    path = temporary_path(tmp_path / name)
    path.touch()
    assert path.name.endswith(".nii.gz")
    assert path != temporary_path(tmp_path / name)
    write_text(tmp_path / name, "whole")
    assert (tmp_path / name).read_text() == "whole"
    assert fit_name(".", name[:100]) == f".{name[:100]}"


def test_a_temporary_folder_is_private_and_goes(tmp_path: Path) -> None:
    with temporary_folder(tmp_path) as folder:
        (folder / "file").touch()
        assert folder.stat().st_mode & 0o077 == 0
    assert list(tmp_path.iterdir()) == []


def test_no_module_names_temporary_files_in_its_own_way() -> None:
    own = re.compile(r"uuid4|mkdtemp|mkstemp|TemporaryDirectory|NamedTemporary|with_name\(f\"\.")
    texts = {file.relative_to(PIPELINE).as_posix(): file.read_text(encoding="utf-8") for file in PIPELINE.rglob("*.py")}
    # The lock of a study's run, which is beside the folder that a training empties.
    assert sorted(name for name, text in texts.items() if own.search(text)) == ["study/run_step.py"]


@pytest.mark.slow
def test_the_next_start_removes_what_a_killed_process_left(tmp_path: Path) -> None:
    program = (
        "import sys, time; from pathlib import Path; from pipeline.files import whole_file\n"
        "with whole_file(Path(sys.argv[1])) as file:\n"
        "    file.write_bytes(b'half'); print('ready', flush=True); time.sleep(600)"
    )
    process = subprocess.Popen([sys.executable, "-c", program, str(tmp_path / "a.pt")], stdout=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdout.readline() == b"ready\n"
    assert remove_leftovers(tmp_path) == []
    process.kill()
    process.communicate()
    [left] = tmp_path.iterdir()
    assert remove_leftovers(tmp_path) == [left.name]
