"""Absolute paths and links out of the dataset's folder are found and refused, and nothing else is."""

import json

import pytest

from pipeline.data import read_cases
from pipeline.data.check_outside import describe_files_outside, find_files_outside
from pipeline.data.dataset import read_dataset
from pipeline.data.errors import InputError
from pipeline.data.outside import LINK, PATH, find_outside, refuse_outside


@pytest.fixture
def folder(tmp_path):
    """A dataset's folder with links, next to another folder with files."""
    for name in ("data/a.nii", "data/store/b.nii", "other/c.nii"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"scan")
    data = tmp_path / "data"
    (data / "inside.nii").symlink_to("store/b.nii")
    (data / "out.nii").symlink_to(tmp_path / "other" / "c.nii")
    (data / "twice.nii").symlink_to("out.nii")
    (data / "series").symlink_to(tmp_path / "other")
    (data / "broken.nii").symlink_to(tmp_path / "absent.nii")
    (tmp_path / "linked").symlink_to(data)
    return data


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("a.nii", None),
        ("./store/../a.nii", None),
        ("inside.nii", None),
        ("absent.nii", None),
        ("{data}/a.nii", None),
        ("{data}/inside.nii", None),
        # LightSkip's own way to name merged label maps.
        ("../other/c.nii", None),
        ("out.nii", LINK),
        ("twice.nii", LINK),
        ("broken.nii", LINK),
        ("series/c.nii", LINK),
        ("series/series=3", LINK),
        ("{data}/out.nii", LINK),
        ("{other}/c.nii", PATH),
        ("{data}/../other/c.nii", PATH),
        ("/etc/hostname", PATH),
        ("~/scan.nii", PATH),
        ("~scan.nii", None),
        ("null\0byte.nii", None),
        ("x" * 300, None),
    ],
)
@pytest.mark.parametrize("through_link", [False, True], ids=["real", "linked"])
def test_what_leads_out(folder, path, kind, through_link):
    start = folder.parent / "linked" if through_link else folder
    named = path.format(data=start, other=folder.parent / "other")
    assert [one.kind for one in find_outside([named], start)] == ([] if kind is None else [kind])


@pytest.mark.parametrize(
    ("named", "kind"),
    [
        ("store/b.nii", None),
        ("{data}/a.nii", None),
        ("../other/c.nii", None),
        ("out.nii", LINK),
        ("{other}/c.nii", PATH),
        ("", None),
    ],
)
def test_headers_that_name_other_files(folder, named, kind):
    text = named.format(data=folder, other=folder.parent / "other")
    (folder / "scan.mhd").write_text(f"NDims = 3\nElementDataFile = {text}\n")
    assert [one.kind for one in find_outside(["scan.mhd"], folder)] == ([] if kind is None else [kind])


def test_a_series_with_a_link_out(folder):
    assert find_outside(["store"], folder) == []
    (folder / "store" / "slice.dcm").symlink_to(folder.parent / "other" / "c.nii")
    assert [one.kind for one in find_outside(["a.nii", "store", "store/series=2"], folder)] == [LINK, LINK]


def write(folder, images):
    items = [{"image": image, "label": "a.nii", "fold": number % 2} for number, image in enumerate(images)]
    file = folder / "list.json"
    file.write_text(json.dumps({"training": items, "test": ["out.nii"]}))
    return file


def test_a_training_refuses_them_unless_they_are_asked_for(folder):
    file = write(folder, ["inside.nii", "out.nii", "store/b.nii", "series/c.nii"])
    for part in ("training", "validation"):
        with pytest.raises(InputError, match=r"out.nii: found a link to .*and 1 more.*--outside True"):
            read_cases(file, folder, fold=0, part=part)
    cases = read_cases(file, folder, fold=1, part="validation", outside=True)
    assert [case["image"] for case in cases] == [str(folder / "out.nii"), str(folder / "series" / "c.nii")]


def test_files_inside_need_no_option(folder):
    file = write(folder, ["inside.nii", str(folder / "store" / "b.nii")])
    assert len(read_cases(file, folder, fold=0, part="training")) == 1


def test_they_are_findings(folder):
    dataset = read_dataset(write(folder, ["inside.nii", "/etc/hostname"]), folder)
    found = [finding for case in dataset.cases for finding in find_files_outside(case, dataset.folder)]
    assert [(finding.kind, finding.file, finding.record()["severity"]) for finding in found] == [
        (PATH, "/etc/hostname", "warning"),
        (LINK, "out.nii", "warning"),
    ]
    assert describe_files_outside(folder / "list.json").startswith("2 files outside ")
    assert describe_files_outside(write(folder, ["inside.nii"] * 2)).startswith("1 file outside")


def test_messages_name_the_folder_without_detours(tmp_path):
    for name in ("lists", "scans"):
        (tmp_path / name).mkdir()
    with pytest.raises(InputError) as raised:
        refuse_outside(["/elsewhere/i.nii.gz"], tmp_path / "lists" / ".." / "scans", "list.json", "--outside")
    assert f"names in {tmp_path / 'scans'}." in str(raised.value)
