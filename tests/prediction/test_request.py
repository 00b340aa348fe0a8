"""Options and the result of one call: where files go, the exit status and the line at the end."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pipeline.prediction.outputs import Wanted
from pipeline.prediction.request import Request, Summary
from pipeline.prediction.result import Result

MEASURED = {"seconds": 12.345, "peak_memory_bytes": 1_234_000_000}


def results(*statuses: str) -> tuple[Result, ...]:
    return tuple(Result(str(number), (), status) for number, status in enumerate(statuses))


def request(output: Path, **options: Any) -> Request:
    return Request(Path("bundle"), ["a.nii.gz"], output, **options)


def test_a_folder_has_the_outputs_of_all_scans(tmp_path: Path) -> None:
    found = request(tmp_path / "out", wanted=Wanted(statistics=True))
    assert not found.single
    assert [file.name for file in found.outputs_for("a").files] == ["a_statistics.json", "a_seg.nii.gz"]
    assert found.outputs_for("b").label_map == tmp_path / "out" / "b_seg.nii.gz"


def test_a_file_is_the_output_of_the_only_scan(tmp_path: Path) -> None:
    found = request(tmp_path / "mine.nrrd", wanted=Wanted(format="nrrd", preview=True))
    assert found.single
    assert found.outputs_for("a").files == [tmp_path / "mine_preview.png", tmp_path / "mine.nrrd"]
    # A folder may have such a name.
    (tmp_path / "mine.nrrd").mkdir()
    assert not request(tmp_path / "mine.nrrd").single


def test_the_runtime_is_chosen_unless_one_is_named(tmp_path: Path) -> None:
    assert request(tmp_path).runtime == "auto"


@pytest.mark.parametrize(
    ("statuses", "status"),
    [
        (["done", "done"], 0),
        (["skipped"], 0),
        (["done", "failed"], 1),
        (["skipped", "failed"], 1),
        (["failed", "failed"], 2),
        ([], 0),
    ],
)
def test_the_exit_status_tells_how_many_failed(statuses: list[str], status: int) -> None:
    assert Summary(results(*statuses), MEASURED, None).status == status


def test_a_full_disk_has_its_own_status_even_if_all_failed() -> None:
    full = tuple(replace(result, of_disk=True) for result in results("failed", "failed"))
    assert Summary(full, MEASURED, None).status == 1


def test_the_line_counts_what_a_full_disk_left() -> None:
    first, *others = (replace(result, of_disk=True) for result in results("failed", "failed", "failed"))
    some = (first, *(replace(result, not_tried=True) for result in others))
    text = Summary(some, MEASURED | {"peak_memory_bytes": 0}, None).text
    assert text == "0 of 3 segmented, 1 failed, 2 not segmented, as the disk is full or read-only in 12.3 s"


def test_the_line_counts_what_was_done() -> None:
    some = results("done", "skipped", "failed", "skipped")
    assert Summary(some, MEASURED, Path("out/report.json")).text == (
        "1 of 4 segmented, 2 finished earlier, 1 failed in 12.3 s, at most 1.23 GB of memory; report: out/report.json"
    )
    # Not every system reports the memory, and one file has no report.
    assert Summary(results("done"), MEASURED | {"peak_memory_bytes": 0}, None).text == "1 of 1 segmented in 12.3 s"


@pytest.mark.parametrize(
    ("labels", "note"),
    [
        (["background"], "the label map is empty: the network finds no label"),
        (["background", "background"], "all 2 label maps are empty: the network finds no label"),
        (["liver", "liver"], "all 2 label maps have one label in every voxel, liver"),
        (["liver", "background"], ""),
        (["background", None], ""),
        ([], ""),
    ],
)
def test_a_network_with_one_label_everywhere_is_noted(labels: list[str | None], note: str) -> None:
    some = tuple(
        replace(one, only_label=label) for one, label in zip(results(*["done"] * len(labels)), labels, strict=True)
    )
    text = Summary((*some, *results("failed")), MEASURED, None).text
    assert text.partition("\nnote: ")[2] == note
