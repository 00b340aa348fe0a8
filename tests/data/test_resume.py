import json

import numpy as np
import pytest

from pipeline.data.errors import InputError
from pipeline.data.findings import Finding
from pipeline.data.inspection import Inspection
from pipeline.data.resume import NO_ROOM, Progress


def an_inspection(name="a"):
    finding = Finding("nan", 'a "name"\n\udcff', "y", "z", name, "f")
    return Inspection([finding], {"name": name, "spacing": [1 / 3]}, "hash", b"\xff\xd8 jpeg")


def written(folder, *keys, settings="s", resume=True):
    progress = Progress(folder, settings=settings, resume=resume)
    for key in keys:
        progress.add(key, an_inspection(key))
    progress.close()


def known(folder, settings="s", resume=True):
    progress = Progress(folder, settings=settings, resume=resume)
    progress.close()
    return progress.known


def test_what_was_written_comes_back_as_it_was(tmp_path):
    written(tmp_path / "new" / "folder", "a", "b")
    assert known(tmp_path / "new" / "folder") == {"a": an_inspection("a"), "b": an_inspection("b")}


@pytest.mark.parametrize("keep", range(0, 400, 23))
def test_a_broken_last_line_costs_its_own_case_alone(tmp_path, keep):
    written(tmp_path, "a", "b")
    path = tmp_path / "cases.jsonl"
    first, second = filter(None, path.read_bytes().split(b"\n"))
    path.write_bytes(first + b"\n" + second[: min(keep, len(second) - 1)])
    assert known(tmp_path) == {"a": an_inspection("a")}
    # What comes after it begins a line of its own.
    written(tmp_path, "c")
    assert known(tmp_path).keys() == {"a", "c"}


@pytest.mark.parametrize(
    "line", ["7", "[]", '"text"', "null", "{}", '{"settings": "s"}', '{"settings": "s", "key": "k", "findings": 5}']
)
def test_lines_of_another_kind_are_passed_over(tmp_path, line):
    (tmp_path / "cases.jsonl").write_text(f"{line}\n\xff\n")
    assert known(tmp_path) == {}


def test_other_settings_know_nothing_and_lose_nothing(tmp_path):
    written(tmp_path, "a")
    assert known(tmp_path, settings="other") == {}
    assert known(tmp_path).keys() == {"a"}


def test_without_resuming_the_file_begins_anew(tmp_path):
    written(tmp_path, "a")
    assert known(tmp_path, resume=False) == {}
    assert known(tmp_path) == {}


def test_without_a_folder_nothing_is_kept(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    written(None, "a")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("blocked", ["report", "report/cases.jsonl"])
def test_a_folder_that_cannot_be_written_to_is_said(tmp_path, blocked):
    if blocked == "report":
        (tmp_path / blocked).write_text("a file")
    else:
        (tmp_path / blocked).mkdir(parents=True)
    with pytest.raises(InputError, match="cannot be written to"):
        Progress(tmp_path / "report", settings="s", resume=True)


def test_a_full_disk_is_said(tmp_path):
    progress = Progress(tmp_path, settings="s", resume=True)

    class Full:
        def write(self, _):
            raise OSError(28, "No space left on device")

    progress.stream.close()
    progress.stream = Full()
    with pytest.raises(InputError, match="No space left on device"):
        progress.add("a", an_inspection())


def test_a_number_that_is_none_is_not_written(tmp_path):
    progress = Progress(tmp_path, settings="s", resume=True)
    with pytest.raises(ValueError, match="JSON"):
        progress.add("a", Inspection([], {"mean": np.nan}))
    progress.close()
    assert [json.loads(line) for line in (tmp_path / "cases.jsonl").read_text().split()] == []


def test_a_report_that_cannot_be_written_names_the_options_of_both_verbs() -> None:
    # `lightskip plan` writes it too, where -o is the folder of bundles.
    assert "-o FOLDER of `lightskip check`" in NO_ROOM
    assert "--check FOLDER of `lightskip plan`" in NO_ROOM
