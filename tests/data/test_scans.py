import json

import pytest

from pipeline.data.errors import InputError
from pipeline.data.scans import find_scans


def put(folder, *names):
    for name in names:
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).touch()


def test_find_scans_takes_the_nifti_files_of_the_folder_alone(tmp_path):
    put(tmp_path, "b.nii", "a.nii.gz", "C.NII.GZ", ".hidden.nii", "notes.txt", "nii.gz.txt", "deep/d.nii")
    (tmp_path / "folder.nii").mkdir()
    assert find_scans(tmp_path) == [{"image": str(tmp_path / name)} for name in ("C.NII.GZ", "a.nii.gz", "b.nii")]


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["imagesTr/a.nii.gz", "dataset.json"], "the folder contains dataset.json, imagesTr/;"),
        ([f"{number}.txt" for number in range(8)], "0.txt, 1.txt, 2.txt, 3.txt, 4.txt and 3 more"),
        ([".DS_Store"], "only hidden files"),
    ],
)
def test_find_scans_says_what_a_folder_without_scans_holds(tmp_path, names, message):
    put(tmp_path, *names)
    with pytest.raises(InputError, match="found no scan") as raised:
        find_scans(tmp_path)
    assert message in str(raised.value)


NAMED = [
    (["b.nii", "sub/c.nii.gz"], ["b.nii", "sub/c.nii.gz"]),
    ([{"image": "b.nii", "label": "absent.nii"}], ["b.nii"]),
    ([{"image": ["b.nii", "a.nii.gz"]}], [["b.nii", "a.nii.gz"]]),
    ({"training": [{"image": "./b.nii"}], "test": ["./a.nii.gz"]}, ["b.nii", "a.nii.gz"]),
    ({"testing": [{"image": "sub/c.nii.gz"}]}, ["sub/c.nii.gz"]),
]


@pytest.mark.parametrize("as_file", [False, True], ids=["value", "file"])
@pytest.mark.parametrize(("datalist", "expected"), NAMED)
def test_find_scans_takes_the_named_scans_in_their_order(tmp_path, datalist, expected, as_file):
    put(tmp_path, "a.nii.gz", "b.nii", "sub/c.nii.gz")
    if as_file:
        (tmp_path / "list.json").write_text(json.dumps(datalist))
        datalist = tmp_path / "list.json"
    absolute = [
        [str(tmp_path / one) for one in name] if isinstance(name, list) else str(tmp_path / name) for name in expected
    ]
    assert find_scans(tmp_path, datalist) == [{"image": path} for path in absolute]


def test_find_scans_needs_no_folder_for_absolute_paths(tmp_path):
    put(tmp_path, "a.nii.gz")
    scan = tmp_path / "a.nii.gz"
    assert find_scans(tmp_path / "absent", [scan]) == [{"image": str(scan)}]


@pytest.mark.parametrize(
    ("datalist", "message"),
    [
        (["a.nii.gz", "x.nii", "y.nii"], r"x\.nii: found no such file \(and 1 more"),
        ([], "no scan named"),
        ({"training": []}, "no scan named"),
        ([{"label": "a.nii.gz"}], "item 0 without"),
        (["a.nii.gz", 5], "item 1 without"),
        (["a.nii.gz", "a.nii"], r"a\.nii: found the same name as .*a\.nii\.gz"),
        (["a.nii.gz", "sub/a.nii.gz"], "the same name"),
        (["a.nii.gz", "a.nrrd"], r"a\.nrrd: found the same name as .*a\.nii\.gz"),
        (["dicom/CT.1.dcm", "CT.1"], "the same name"),
        (["a.nii.gz", "a.nii.gz"], "the same name"),
    ],
)
def test_find_scans_tells_what_is_wrong_with_the_named_scans(tmp_path, datalist, message):
    put(tmp_path, "a.nii.gz", "a.nii", "sub/a.nii.gz", "a.nrrd", "dicom/CT.1.dcm", "CT.1")
    with pytest.raises(InputError, match=message):
        find_scans(tmp_path, datalist)


@pytest.mark.parametrize("names", [("a.nii", "a.nii.gz"), ("a.b.nii", "a.b.NII.GZ")])
def test_find_scans_refuses_scans_whose_outputs_would_share_a_name(tmp_path, names):
    put(tmp_path, *names)
    with pytest.raises(InputError, match="the same name"):
        find_scans(tmp_path)


@pytest.mark.parametrize(
    ("names", "scans"),
    [
        (["a.nii.gz", "a_seg.nii.gz", "a_prob.nii.gz"], ["a.nii.gz"]),
        (["a.nii", "a_seg.nii.gz", "b.nii.gz"], ["a.nii", "b.nii.gz"]),
        (["a.mha", "a_seg.nii.gz", "b.nii.gz"], ["b.nii.gz"]),
        (["a_seg.nii.gz", "a_seg_seg.nii.gz"], ["a_seg.nii.gz"]),
        (["a.nii.gz", "a_seg.nii.gz", "a_seg_seg.nii.gz"], ["a.nii.gz"]),
        # Not written by inference, or from a scan that is not here:
        (["a.nii.gz", "a_seg.nii", "a_segment.nii.gz"], ["a.nii.gz", "a_seg.nii", "a_segment.nii.gz"]),
        (["a.nii.gz", "b_seg.nii.gz", "seg.nii.gz"], ["a.nii.gz", "b_seg.nii.gz", "seg.nii.gz"]),
        (["a.txt", "a_seg.nii.gz"], ["a_seg.nii.gz"]),
    ],
    ids=str,
)
def test_find_scans_leaves_out_what_inference_wrote_beside_the_scans(tmp_path, names, scans):
    put(tmp_path, *names)
    assert find_scans(tmp_path) == [{"image": str(tmp_path / name)} for name in scans]
    assert find_scans(tmp_path, names) == [{"image": str(tmp_path / name)} for name in names]


@pytest.mark.parametrize(
    ("names", "scans"),
    [
        (["a.mha", "a_seg.nii.gz"], ["a.mha"]),
        (["a.nii", "a.png", "b.mha"], ["a.nii"]),
        (["b.mhd", "b.raw", "c.nrrd", "preview.png"], ["b.mhd", "c.nrrd"]),
        (["a.hdr", "a.img", "b.img"], ["a.hdr", "b.img"]),
        (["10.png", "9.PNG", "notes.txt"], ["10.png", "9.PNG"]),
        (["one/1.dcm", "one/2.dcm", "two/1.dcm", "notes/a.txt"], ["one", "two"]),
        (["1.dcm", "2.dcm", "more/1.dcm"], ["."]),
    ],
    ids=str,
)
def test_find_scans_takes_the_first_kind_that_a_folder_has(tmp_path, names, scans):
    put(tmp_path, *names)
    assert find_scans(tmp_path) == [{"image": str(tmp_path / name)} for name in scans]


def test_find_scans_takes_the_channels_of_a_scan_together(tmp_path):
    names = ["b_0001.nii.gz", "b_0000.nii.gz", "a_0000.nii.gz", "a_0001.nii.gz", "a_seg.nii.gz"]
    put(tmp_path, *names)
    pairs = [[str(tmp_path / f"{name}_000{channel}.nii.gz") for channel in (0, 1)] for name in "ab"]
    assert find_scans(tmp_path, channels=2) == [{"image": pair} for pair in pairs]
    # With one channel each file is a scan, and what is called a_seg is one, too.
    assert len(find_scans(tmp_path)) == 5
    (tmp_path / "b_0001.nii.gz").unlink()
    with pytest.raises(InputError, match=r"b: found files for the channels 0000; expected 2 files, b_0000 to b_0001"):
        find_scans(tmp_path, channels=2)


def test_find_scans_leaves_files_alone_that_hold_all_channels(tmp_path):
    put(tmp_path, "a.nii.gz", "b_0000.nii.gz")
    assert find_scans(tmp_path, channels=2) == [
        {"image": str(tmp_path / name)} for name in ("a.nii.gz", "b_0000.nii.gz")
    ]


@pytest.mark.parametrize("name", ["a.nii.gz", "A.NII", "sub/b.nrrd"])
def test_find_scans_takes_one_scan_in_place_of_a_list(tmp_path, name):
    put(tmp_path, name, "c.nii.gz")
    for datalist in (name, tmp_path / name):
        assert find_scans(tmp_path, datalist) == [{"image": str(tmp_path / name)}]
    with pytest.raises(InputError, match="no such file") as raised:
        find_scans(tmp_path, "absent.nii.gz")
    assert raised.value.where == str(tmp_path / "absent.nii.gz")


def test_find_scans_says_how_to_name_a_scan_given_as_the_folder(tmp_path):
    put(tmp_path, "a.nii.gz")
    for datalist in (None, ["a.nii.gz"]):
        with pytest.raises(InputError, match=r"a\.nii\.gz: found a file") as raised:
            find_scans(tmp_path / "a.nii.gz", datalist)
        assert f"--dataset_dir {tmp_path} --datalist \"['a.nii.gz']\"" in raised.value.remedy


@pytest.mark.parametrize(
    ("name", "message"), [("absent", "no such folder"), ("list.json", "a file"), ("empty", "an empty folder")]
)
def test_find_scans_refuses_a_folder_that_cannot_be_one(tmp_path, name, message):
    put(tmp_path, "list.json")
    (tmp_path / "empty").mkdir()
    for datalist in (None, ["a.nii.gz"]):
        with pytest.raises(InputError, match=f"{name}: found {message}"):
            find_scans(tmp_path / name, datalist)


def test_a_datalist_in_a_file_names_no_scans_outside_the_folder_unless_asked(tmp_path):
    put(tmp_path, "data/a.nii", "other/x.nii")
    (tmp_path / "data" / "link.nii").symlink_to(tmp_path / "other" / "x.nii")
    file = tmp_path / "list.json"
    for path, kind in ((str(tmp_path / "other" / "x.nii"), "an absolute path"), ("link.nii", "a link")):
        file.write_text(json.dumps([path]))
        with pytest.raises(InputError, match=rf"found {kind} to .*x\.nii, outside .*--outside True"):
            find_scans(tmp_path / "data", file)
        assert len(find_scans(tmp_path / "data", file, outside=True)) == 1
        # A list was typed.
        assert len(find_scans(tmp_path / "data", [path])) == 1
    # As LightSkip itself writes it; and an absolute path into the folder.
    for path in ("../other/x.nii", str(tmp_path / "data" / "a.nii")):
        file.write_text(json.dumps([path]))
        assert len(find_scans(tmp_path / "data", file)) == 1
