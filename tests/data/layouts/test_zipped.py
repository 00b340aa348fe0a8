import errno
import stat
import zipfile
from dataclasses import replace

import pytest

from pipeline.data.errors import InputError
from pipeline.data.layouts import find, zipped

CASES = {f"s{n}/{name}.mha": "" for n in (1, 2) for name in ("ct", "seg")}


def make(path, members):
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


@pytest.mark.parametrize(
    ("root", "members", "layout"),
    [
        ("", CASES, "a folder for each case"),
        ("data/raw/", CASES, "a folder for each case"),
        (
            "",
            {f"p{n}/ct/{s}.dcm": "" for n in (1, 2) for s in (1, 2)} | {f"p{n}/mask.mha": "" for n in (1, 2)},
            "ct and",
        ),
        (
            "Task/",
            {"dataset.json": '{"training": [{"image": "a.mha", "label": "b.mha"}]}', "a.mha": "", "b.mha": ""},
            "MSD",
        ),
        ("KiTS/data/", {f"case_0000{n}/{k}.nii.gz": "" for n in (1, 2) for k in ("imaging", "segmentation")}, "KiTS"),
    ],
)
def test_a_zip_is_unpacked_and_read_like_a_folder(tmp_path, root, members, layout):
    junk = {"__MACOSX/x._ct.mha": "", f"{root}.DS_Store": ""}
    archive = make(tmp_path / "mine.zip", {root + name: content for name, content in members.items()} | junk)
    found = find(archive, unpack_to=tmp_path / "list_files")
    assert layout in found.layout
    assert found.notes[0] == f"mine.zip is unpacked in {tmp_path / 'list_files'}"
    assert all(path.exists() for item in found.training for path in (*item.images, item.label))
    assert all(path.is_relative_to(tmp_path / "list_files") for item in found.training for path in item.images)
    assert not (tmp_path / "list_files" / "__MACOSX").exists()
    if not root:
        assert found.described["name"] == "mine"


def test_a_zip_is_unpacked_once(tmp_path):
    archive = make(tmp_path / "mine.zip", CASES)
    first = find(archive).training[0].images[0]
    assert first == tmp_path / "mine" / "s1" / "ct.mha"
    before = first.stat().st_mtime_ns
    find(archive)
    assert first.stat().st_mtime_ns == before
    make(archive, CASES | {"s3/ct.mha": "x", "s3/seg.mha": ""})
    with pytest.raises(InputError, match=r"mine: found other content than that of mine\.zip"):
        find(archive)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("../evil.mha", r"a path out of the folder"),
        ("/etc/evil.mha", "an absolute path"),
        ("s1/CT.mha", "only by case"),
    ],
)
def test_unsafe_names_are_refused_and_nothing_is_left(tmp_path, name, message):
    archive = make(tmp_path / "mine.zip", CASES | {name: ""})
    with pytest.raises(InputError, match=message):
        find(archive)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.zip"]


def test_a_directory_that_points_before_the_zip_s_start_is_damage(tmp_path):
    """As after a copy that lost bytes: seeking there raises OSError."""
    archive = make(tmp_path / "mine.zip", {"a.mha": "x" * 100, "b.mha": "y"})
    content = archive.read_bytes()
    archive.write_bytes(content[:40] + content[100:])
    with pytest.raises(InputError, match="a damaged zip"):
        zipped.unpack_dataset(archive, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_links_bombs_and_damage_are_refused(tmp_path, monkeypatch):
    archive = make(tmp_path / "link.zip", CASES)
    link = zipfile.ZipInfo("s1/link.mha")
    link.create_system, link.external_attr = 3, (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(archive, "a") as opened:
        opened.writestr(link, "/etc/passwd")
    with pytest.raises(InputError, match="a link"):
        find(archive)
    archive.write_bytes(archive.read_bytes()[:-30])
    with pytest.raises(InputError, match="cut off"):
        find(archive)
    with zipfile.ZipFile(tmp_path / "bomb.zip", "w", zipfile.ZIP_DEFLATED) as opened:
        opened.writestr("a.nii", bytes(2_000_000))
    monkeypatch.setattr(zipped, "_DATASET", replace(zipped._DATASET, ratio_from=1_000_000))
    with pytest.raises(InputError, match=r"bomb\.zip: .*times the zip.*unpack it yourself"):
        find(tmp_path / "bomb.zip")


@pytest.mark.parametrize(
    ("members", "message"),
    [
        ({"__MACOSX/a": ""}, r"mine\.zip: found a zip without files"),
        (
            {"inner.zip": ""},
            r"mine: found no known layout; the folder contains inner\.zip; .*give the zip .*mine/inner\.zip",
        ),
    ],
)
def test_a_zip_without_a_dataset_is_explained(tmp_path, members, message):
    with pytest.raises(InputError, match=message):
        find(make(tmp_path / "mine.zip", members))


def test_a_folder_that_cannot_be_made_is_named_as_the_user_does(tmp_path, monkeypatch):
    def refuse(path, *_args, **_options):
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    archive = make(tmp_path / "mine.zip", CASES)
    monkeypatch.setattr(zipped.Path, "mkdir", refuse)
    with pytest.raises(PermissionError) as raised:
        find(archive)
    assert raised.value.filename == str(tmp_path / "mine")
