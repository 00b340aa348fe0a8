"""A scan that is a pickle is not loaded, whoever names it."""

import json
from pathlib import Path

import numpy as np
import pytest

from pipeline.data.check_dataset import check_dataset
from pipeline.data.errors import InputError
from pipeline.data.reader import LoadScand
from pipeline.prediction.inputs import read_inputs


class Payload:
    """Makes a file when it is unpickled."""

    def __init__(self, marker):
        self.marker = marker

    def __reduce__(self):
        return Path.touch, (self.marker,)


@pytest.mark.parametrize("name", ["scan.npy", "scan.nii.gz", "scan.png", "scan.pkl"])
def test_a_pickle_is_no_scan(name, tmp_path):
    marker = tmp_path / "marker"
    with (tmp_path / name).open("wb") as file:
        np.save(file, np.array([Payload(marker)], dtype=object), allow_pickle=True)
    (tmp_path / "list.json").write_text(json.dumps({"training": [{"image": name, "label": name, "fold": 0}]}))
    assert check_dataset(tmp_path / "list.json")["summary"]["problems"] > 0
    for scan in read_inputs([tmp_path / name], channels=1):
        assert scan.problem is not None or name in ("scan.nii.gz", "scan.png")
    with pytest.raises((InputError, RuntimeError)):
        LoadScand(keys="image", ensure_channel_first=True)({"image": str(tmp_path / name)})
    assert not marker.exists()
