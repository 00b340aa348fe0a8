import base64
import io
import json

import nibabel
import numpy as np
import pytest
from PIL import Image

from pipeline.data.errors import InputError
from pipeline.report.report_maps import draw_case_maps, make_level_table, read_probe
from pipeline.report.report_volumes import REFERENCE, CaseVolumes


@pytest.fixture
def found():
    reference = np.zeros((12, 10, 8), np.uint8)
    reference[4:8, 3:7, 5] = 1
    affine = np.diag([-1.0, -1.0, 1.0, 1.0])
    return CaseVolumes(None, {REFERENCE: reference}, None, affine, (0, 0, 0), reference.shape)


def write_maps(folder, case, level, voxels):
    (folder / "maps").mkdir(parents=True, exist_ok=True)
    nibabel.save(
        nibabel.Nifti1Image(voxels.astype(np.float32), np.eye(4)), folder / "maps" / f"{case}_level{level}.nii.gz"
    )


def pixels(picture):
    content = base64.b64decode(picture.source.partition(",")[2])
    with Image.open(io.BytesIO(content)) as opened:
        return np.asarray(opened.convert("RGB")).astype(int)


def test_maps_are_drawn_in_the_slice_of_the_first_picture_in_one_scale(tmp_path, found):
    gate = np.zeros(found.shape)
    gate[:6, :, 5] = 1.0
    write_maps(tmp_path, "c", 0, gate)
    write_maps(tmp_path, "c", 1, np.stack([gate - 0.5, gate * 0], axis=-1))
    pictures, notes = draw_case_maps(read_probe(tmp_path), "c", found)
    assert notes == []
    assert [one.caption for one in pictures] == [
        "level 0: 0 to 1",
        "level 1, map 1: -0.5 to 0.5",
        "level 1, map 2: -0.5 to 0.5",
    ]
    shown = pixels(pictures[0].picture)
    assert shown.shape[:2] == (10, 12)
    # Bright yellow where the gate is open, dark violet where it is shut.
    assert shown[5, 1].sum() > 400
    assert shown[5, 10].sum() < 200
    # White is zero in a scale of both signs.
    assert pixels(pictures[2].picture).min() > 230


def test_maps_of_another_grid_are_left_out_with_a_sentence(tmp_path, found):
    write_maps(tmp_path, "c", 0, np.zeros((3, 3, 3)))
    pictures, [note] = draw_case_maps(read_probe(tmp_path), "c", found)
    assert pictures == []
    assert "level 0" in note


def test_the_levels_show_the_selected_channels(tmp_path):
    level = {"level": 0, "skip": "sat4", "kept_channels": 4, "transferred_channels": 16, "gates": {"psi": 0.25}}
    level["selection"] = {"weights": [0.6, 0.1, 0.9], "selected": [0, 2]}
    (tmp_path / "summary.json").write_text(json.dumps({"levels": [level]}))
    table = make_level_table(read_probe(tmp_path))
    assert table.rows[0].cells == ["sat4", "4", "16", "2 of 3: 0, 2", "psi 0.250"]


def test_a_folder_of_something_else_is_refused(tmp_path):
    with pytest.raises(InputError, match="lightskip probe BUNDLE -o OUT --maps"):
        read_probe(tmp_path)
