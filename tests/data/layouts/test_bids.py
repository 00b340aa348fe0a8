import json

import pytest

from pipeline.data.errors import InputError
from pipeline.data.layouts.bids import find_bids


def make(folder, *names):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    return folder


def two_subjects(folder):
    """Two subjects, one with two sessions; label maps in a derivatives folder."""
    for sub, ses in (("01", "1"), ("01", "2"), ("2", "1")):
        stem = f"sub-{sub}/ses-{ses}/anat/sub-{sub}_ses-{ses}"
        make(folder, f"{stem}_T1w.nii.gz", f"{stem}_T1w.json", f"derivatives/manual/{stem}_dseg.nii.gz")
        make(folder, f"sub-{sub}/ses-{ses}/anat/._sub-{sub}_ses-{ses}_T1w.nii.gz")
    return folder


def names(items):
    return [([path.name for path in item.images], item.label and item.label.name) for item in items]


def test_sessions_are_cases_of_one_subject(tmp_path):
    found = find_bids(two_subjects(tmp_path))
    stems = ["sub-01_ses-1", "sub-01_ses-2", "sub-2_ses-1"]
    assert names(found.training) == [([f"{stem}_T1w.nii.gz"], f"{stem}_dseg.nii.gz") for stem in stems]
    assert [case.subject for case in found.training] == ["sub-01", "sub-01", "sub-2"]
    assert found.described == {"name": tmp_path.name, "modality": ["T1w"]}
    assert found.test == []


def test_the_only_suffix_that_all_labelled_scans_have_is_taken(tmp_path):
    make(
        two_subjects(tmp_path),
        "sub-2/ses-1/anat/sub-2_ses-1_FLAIR.nii.gz",
        "sub-2/ses-1/func/sub-2_ses-1_run-1_bold.nii.gz",
    )
    assert [case.images[0].name[-10:] for case in find_bids(tmp_path).training] == ["T1w.nii.gz"] * 3
    make(tmp_path, *(f"sub-01/ses-{ses}/anat/sub-01_ses-{ses}_FLAIR.nii.gz" for ses in (1, 2)))
    with pytest.raises(InputError, match=r"2 suffixes .*FLAIR \(3\), T1w \(3\).*--suffix"):
        find_bids(tmp_path)


def test_chosen_suffixes_are_the_channels_in_their_order(tmp_path):
    make(two_subjects(tmp_path), *(f"sub-01/ses-{ses}/anat/sub-01_ses-{ses}_FLAIR.nii.gz" for ses in (1, 2)))
    make(tmp_path, "sub-2/ses-1/anat/sub-2_ses-1_FLAIR.nii.gz")
    found = find_bids(tmp_path, suffixes=["FLAIR", "T1w"])
    assert names(found.training)[2][0] == ["sub-2_ses-1_FLAIR.nii.gz", "sub-2_ses-1_T1w.nii.gz"]
    assert found.described["modality"] == ["FLAIR", "T1w"]
    (tmp_path / "sub-2/ses-1/anat/sub-2_ses-1_FLAIR.nii.gz").unlink()
    with pytest.raises(InputError, match="no files that end in _FLAIR for sub-2 ses-1"):
        find_bids(tmp_path, suffixes=["FLAIR", "T1w"])


def test_label_maps_lie_beside_and_leave_out_the_session_where_there_is_one(tmp_path):
    make(tmp_path, "sub-a/ses-x/anat/sub-a_ses-x_T2w.nii", "sub-a/ses-x/anat/sub-a_label-GM_probseg.nii.gz")
    make(tmp_path, "sub-a/ses-x/anat/sub-a_label-lesion_mask.nii.gz")
    found = find_bids(tmp_path)
    assert names(found.training) == [(["sub-a_ses-x_T2w.nii"], "sub-a_label-lesion_mask.nii.gz")]
    assert found.described["labels"] == {"0": "background", "1": "lesion"}


def test_runs_are_cases_unless_the_suffix_chooses_one(tmp_path):
    make(tmp_path, *(f"sub-1/anat/sub-1_run-{run}_{kind}.nii.gz" for run in (1, 2) for kind in ("T1w", "dseg")))
    assert len(find_bids(tmp_path).training) == 2
    make(tmp_path, "sub-1/anat/sub-1_acq-low_run-1_T1w.nii.gz")
    with pytest.raises(InputError, match=r"2 files that end in _T1w for sub-1 run-1: .*acq-low"):
        find_bids(tmp_path)
    with pytest.raises(InputError, match="without a scan"):
        find_bids(tmp_path, suffixes=["T2w"])
    found = find_bids(tmp_path, suffixes=["run-2_T1w"], label_suffix="run-1_dseg")
    assert names(found.training) == [(["sub-1_run-2_T1w.nii.gz"], "sub-1_run-1_dseg.nii.gz")]


def test_of_several_label_maps_one_must_be_chosen(tmp_path):
    make(two_subjects(tmp_path), "derivatives/auto/sub-2/ses-1/anat/sub-2_ses-1_dseg.nii.gz")
    with pytest.raises(InputError, match=r"2 label maps for sub-2 ses-1: derivatives/auto.*--derivatives"):
        find_bids(tmp_path)
    assert len(find_bids(tmp_path, derivatives="manual").training) == 3
    make(tmp_path, "derivatives/manual/sub-2/ses-1/anat/sub-2_ses-1_label-brain_mask.nii.gz")
    (case,) = find_bids(tmp_path, derivatives="manual", label_suffix="label-brain_mask", unlabelled="ignore").training
    assert case.label.name == "sub-2_ses-1_label-brain_mask.nii.gz"
    with pytest.raises(InputError, match=r"derivatives/other: found no such folder; expected one of .*auto, manual"):
        find_bids(tmp_path, derivatives="other")


def test_scans_without_label_map_follow_unlabelled(tmp_path):
    make(two_subjects(tmp_path), "sub-3/anat/sub-3_T1w.nii.gz")
    with pytest.raises(InputError, match=r"1 of 4 cases without a label map: sub-3_T1w"):
        find_bids(tmp_path)
    assert [case.subject for case in find_bids(tmp_path, unlabelled="test").test] == ["sub-3"]


def test_a_label_map_without_scan_is_named(tmp_path):
    make(two_subjects(tmp_path), "derivatives/manual/sub-9/anat/sub-9_dseg.nii.gz")
    with pytest.raises(InputError, match=r"without a scan: derivatives/manual/sub-9/anat/sub-9_dseg\.nii\.gz"):
        find_bids(tmp_path)


def test_participants_and_description_are_read(tmp_path):
    two_subjects(tmp_path)
    (tmp_path / "participants.tsv").write_text("participant_id\tSite\tage\nsub-01\tnorth\t7\n2\tsouth\tn/a\n")
    entries = {"Name": "Brains", "License": "CC0", "ReferencesAndLinks": ["one", "two"], "BIDSVersion": "1.8.0"}
    (tmp_path / "dataset_description.json").write_text(json.dumps(entries))
    found = find_bids(tmp_path)
    assert [dict(case.columns) for case in found.training] == [
        {"site": "north", "age": "7"},
        {"site": "north", "age": "7"},
        {"site": "south", "age": "n/a"},
    ]
    assert found.described == {"name": "Brains", "licence": "CC0", "reference": "one; two", "modality": ["T1w"]}


@pytest.mark.parametrize(
    "place", ["dseg.tsv", "derivatives/manual/dseg.tsv", "derivatives/manual/sub-2/sub-2_dseg.tsv"]
)
def test_names_of_labels_come_from_the_nearest_table_that_applies(tmp_path, place):
    two_subjects(tmp_path)
    (tmp_path / "dseg.tsv").write_text("index\tname\n1\tfar\n")
    (tmp_path / "derivatives/manual/desc-other_dseg.tsv").write_text("index\tname\n1\tno\n")
    (tmp_path / place).write_text("index\tname\tcolour\n0\tUnknown\t#000\n4\tventricle\t#fff\n")
    if "sub-2" in place:
        with pytest.raises(InputError, match=r"sub-2_ses-1_dseg\.nii\.gz: found the labels .*ventricle.*far"):
            find_bids(tmp_path)
    else:
        assert find_bids(tmp_path).described["labels"] == {"0": "background", "4": "ventricle"}


def test_names_of_labels_come_from_a_json_sidecar(tmp_path):
    two_subjects(tmp_path)
    (tmp_path / "derivatives/manual/dseg.json").write_text('{"LabelMap": {"background": 0, "tumour": 1}}')
    assert find_bids(tmp_path).described["labels"] == {"background": 0, "tumour": 1}


def test_malformed_tables_and_empty_trees_are_explained(tmp_path):
    make(tmp_path, "sub-1/anat/sub-1_T1w.nii.gz")
    with pytest.raises(InputError, match="1 scans and 0 label maps"):
        find_bids(tmp_path)
    make(tmp_path, "sub-1/anat/sub-1_dseg.nii.gz")
    (tmp_path / "dseg.tsv").write_text("value\tname\n1\tx\n")
    with pytest.raises(
        InputError, match=r"dseg\.tsv: found the columns value, name; expected the columns index and name"
    ):
        find_bids(tmp_path)
    (tmp_path / "participants.tsv").write_text("id\tage\nsub-1\t7\n")
    with pytest.raises(InputError, match=r"participants\.tsv: .*a column participant_id"):
        find_bids(tmp_path)
