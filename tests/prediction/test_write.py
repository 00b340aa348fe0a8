"""The files of one scan are there together or not at all."""

import errno
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest

from pipeline.labelmaps.label_table import make_label_table
from pipeline.prediction import write as module
from pipeline.prediction.outputs import Outputs, Wanted
from pipeline.prediction.prediction import Prediction
from pipeline.prediction.write import write_outputs

EVERYTHING = Wanted(probabilities=True, uncertainty=True, statistics=True, preview=True)
SHAPE = (6, 5, 4)


@pytest.fixture
def prediction() -> Prediction:
    labels = np.zeros(SHAPE, np.uint8)
    labels[2:4, 1:4, 1:3] = 1
    table = make_label_table({"background": 0, "core": 1})
    probabilities = np.stack([labels == 0, labels == 1], axis=-1).astype(np.float32)
    return Prediction(labels, np.eye(4), table, probabilities, np.zeros(SHAPE, np.float32), 0.0)


def write(prediction: Prediction, outputs: Outputs) -> None:
    voxels = np.arange(np.prod(SHAPE), dtype=np.float32).reshape(1, *SHAPE)
    write_outputs(prediction, outputs, name="a", read=lambda: voxels)


def test_everything_is_written(prediction: Prediction, tmp_path: Path) -> None:
    outputs = Outputs.of("a", tmp_path, EVERYTHING)
    write(prediction, outputs)
    assert sorted(tmp_path.iterdir()) == sorted(outputs.files)
    np.testing.assert_array_equal(nib.load(outputs.label_map).get_fdata(), prediction.labels)
    assert nib.load(outputs.files[0]).shape == (*SHAPE, 2)


@pytest.mark.parametrize("asked", [{}, {"keep_header_text": True}, {"anonymous": True}])
def test_what_is_copied_of_a_scan_s_texts_is_passed_on(
    asked: dict[str, bool], prediction: Prediction, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[dict[str, Any]] = []
    for name in ("save_label_map", "save_volume"):
        monkeypatch.setattr(module, name, lambda *_, **options: seen.append(options))
    write(prediction, Outputs.at(tmp_path / "a.nii.gz", Wanted(probabilities=True, uncertainty=True, **asked)))
    expected = asked.get("keep_header_text", False)
    assert [options["keep_header_text"] for options in seen] == [expected] * 3
    assert seen[-1]["anonymous"] == asked.get("anonymous", False)


def test_the_scan_is_read_again_only_where_it_is_needed(prediction: Prediction, tmp_path: Path) -> None:
    def read() -> Any:
        pytest.fail("the scan is not needed")

    outputs = Outputs.of("a", tmp_path, Wanted(probabilities=True, uncertainty=True))
    write_outputs(prediction, outputs, name="a", read=read)
    assert outputs.label_map.exists()


@pytest.mark.parametrize("error", [OSError(errno.ENOSPC, "full"), KeyboardInterrupt(), ValueError("bug")])
def test_of_a_scan_that_fails_nothing_is_left(
    error: BaseException, prediction: Prediction, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise error

    monkeypatch.setattr(module, "save_label_map", fail)
    with pytest.raises(type(error)):
        write(prediction, Outputs.of("a", tmp_path, EVERYTHING))
    assert list(tmp_path.iterdir()) == []


def test_files_of_before_stay_where_a_scan_fails(
    prediction: Prediction, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    outputs = Outputs.of("a", tmp_path, Wanted(statistics=True, preview=True))
    outputs.label_map.write_bytes(b"of before")

    def fail(*_: Any, **__: Any) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(module, "draw_preview", fail)
    with pytest.raises(OSError, match="Input"):
        write(prediction, outputs)
    assert [file.name for file in tmp_path.iterdir()] == ["a_seg.nii.gz"]
    assert outputs.label_map.read_bytes() == b"of before"
