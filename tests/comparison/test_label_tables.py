import json

import numpy as np

from pipeline.comparison.label_tables import read_folder_table, read_map_table
from pipeline.data.images.door import read_header
from pipeline.labelmaps.label_files import write_label_files
from pipeline.labelmaps.label_table import make_label_table
from pipeline.labelmaps.save import save_label_map

from .conftest import AFFINE, make_map

LABELS = {"background": 0, 'left "lobe"': 1, "Läsion <2>": 2}
NAMES = {1: 'left "lobe"', 2: "Läsion <2>"}


def test_names_in_label_maps_that_predict_writes_are_read(tmp_path):
    for ending in (".nii.gz", ".nii", ".seg.nrrd"):
        path = tmp_path / f"a{ending}"
        save_label_map(make_map(), path, scan=None, affine=AFFINE, table=make_label_table(LABELS))
        assert read_map_table(read_header(path)) == NAMES


def test_label_maps_without_names_have_an_empty_table(save):
    assert read_map_table(read_header(save("a.nii.gz", make_map()))) == {}


def test_an_extension_that_is_no_table_is_left_out(save, tmp_path):
    import nibabel as nib  # noqa: PLC0415

    for number, text in enumerate((b"<a", b"<!DOCTYPE a [<!ENTITY x 'y'>]><a>&x;</a>", b"<Label Key='x'>n</Label>")):
        image = nib.Nifti1Image(make_map(), AFFINE)
        image.header.extensions.append(nib.nifti1.Nifti1Extension(30, text))
        nib.save(image, tmp_path / f"{number}.nii")
        assert read_map_table(read_header(tmp_path / f"{number}.nii")) == {}


def test_the_tables_next_to_label_maps_are_read(tmp_path):
    write_label_files(tmp_path, make_label_table({"background": 0, "organ": 1, "lesion": 2}))
    assert read_folder_table(tmp_path) == {1: "organ", 2: "lesion"}
    for place, labels in (
        (tmp_path / "nnunet", {"background": 0, "organ": 1}),
        (tmp_path / "Task01", {"0": "background", "1": "organ"}),
    ):
        (place / "labelsTr").mkdir(parents=True)
        (place / "dataset.json").write_text(json.dumps({"labels": labels}))
        assert read_folder_table(place) == read_folder_table(place / "labelsTr") == {1: "organ"}


def test_files_that_are_no_tables_are_left_out(tmp_path):
    assert read_folder_table(tmp_path / "none") == {}
    (tmp_path / "labels.txt").write_bytes(np.arange(256, dtype=np.uint8).tobytes())
    for text in ("[1]", "{", '{"labels": 3}', '{"labels": {"whole": [1, 2]}}'):
        (tmp_path / "dataset.json").write_text(text)
        assert read_folder_table(tmp_path) == {}
