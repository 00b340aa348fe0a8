import json
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from pipeline.bench.random_data import make_random_dataset
from pipeline.data import read_cases
from pipeline.data.errors import InputError

CONFIG = {
    "patch": [16, 24],
    "window": [24, 16],
    "labels": {"background": 0, "disc": 1, "rim": 4},
    "in_channels": 2,
    "fold": 3,
    "train": {"transforms": [{"_target_": "Spacingd", "pixdim": [0.5, 2.0]}]},
}


@pytest.fixture
def config(tmp_path: Path) -> Path:
    file = tmp_path / "train.json"
    file.write_text(json.dumps(CONFIG))
    return file


def test_scans_have_the_size_spacing_channels_and_labels_of_the_config(config: Path, tmp_path: Path) -> None:
    folder = tmp_path / "data"
    datalist = make_random_dataset(config, {"window": [32, 16]}, folder, training=5, validation=1)
    training = read_cases(datalist, folder, fold=3, part="training")
    validation = read_cases(datalist, folder, fold=3, part="validation")
    assert (len(training), len(validation)) == (5, 1)
    for case in training + validation:
        assert len(case["image"]) == 2
        images = [sitk.ReadImage(file, outputPixelType=sitk.sitkFloat32) for file in (*case["image"], case["label"])]
        assert {image.GetSize() for image in images} == {(32, 24)}
        assert all(image.GetSpacing() == pytest.approx((0.5, 2.0)) for image in images)
        first, second, label = (sitk.GetArrayFromImage(image) for image in images)
        assert set(np.unique(label)) == {0, 1, 4}
        assert not np.array_equal(first, second)


def test_a_config_that_does_not_say_how_large_a_scan_is(config: Path, tmp_path: Path) -> None:
    config.write_text(json.dumps({"labels": {"background": 0}, "fold": 0}))
    with pytest.raises(InputError, match=r"no patch, window, in_channels.*--dataset_dir"):
        make_random_dataset(config, {}, tmp_path / "data", training=1, validation=1)
