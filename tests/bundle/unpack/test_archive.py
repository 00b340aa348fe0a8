import dataclasses
import errno
import shutil
import stat
import struct
import zipfile
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path

import pytest

from pipeline.bundle.unpack import archive as archive_module
from pipeline.bundle.unpack.archive import extract, read_members
from pipeline.data.errors import InputError, disk_message

Make = Callable[..., Path]


def add_special_file(archive: Path, name: str, mode: int) -> None:
    info = zipfile.ZipInfo(name)
    info.create_system = 3
    info.external_attr = mode << 16
    with zipfile.ZipFile(archive, "a") as opened:
        opened.writestr(info, "/etc/passwd")


def patch_entry(archive: Path, offset: int, value: bytes, *, name: bytes = b"spleen/configs/inference.json") -> None:
    """Change bytes of a member's entry in the list at the zip's end, counted from the entry's start."""
    content = bytearray(archive.read_bytes())
    entry = content.rindex(b"PK\x01\x02", 0, content.rindex(name))
    content[entry + offset : entry + offset + len(value)] = value
    archive.write_bytes(bytes(content))


@pytest.mark.parametrize("root", ["spleen/", ""])
def test_a_bundle_comes_out_as_python_unzips_it(zipped: Make, tmp_path: Path, root: str) -> None:
    archive = zipped({f"{root}models/": "", f"{root}models/a.bin": bytes(3_000_000)}, root=root)
    name, members, left_out = read_members(archive)
    ours, theirs = tmp_path / "ours", tmp_path / "theirs"
    ours.mkdir()
    extract(archive, members, ours)
    with zipfile.ZipFile(archive) as opened:
        opened.extractall(theirs)
    files = {path.relative_to(ours): path.read_bytes() for path in ours.rglob("*") if path.is_file()}
    assert files == {p.relative_to(theirs / root): p.read_bytes() for p in theirs.rglob("*") if p.is_file()}
    # A zip without a folder is the source of the name.
    assert (name, left_out) == ("spleen" if root else "download", [])


def test_bytecode_and_what_macos_adds_stay_out(zipped: Make) -> None:
    junk = ["spleen/scripts/__pycache__/a.cpython-311.pyc", "__MACOSX/spleen/._LICENSE", "spleen/.DS_Store"]
    name, members, left_out = read_members(zipped(dict.fromkeys(junk, "junk")))
    assert (name, left_out) == ("spleen", junk)
    assert not {member.info.filename for member in members} & set(junk)


@pytest.mark.parametrize(
    "name", ["../evil", "/tmp/evil", "spleen/../../evil", "C:/evil", "spleen\\evil", "spleen/LICENSE"]
)
def test_names_are_checked_as_the_zip_has_them(zipped: Make, name: str) -> None:
    with pytest.warns(UserWarning, match="Duplicate") if name == "spleen/LICENSE" else nullcontext():
        archive = zipped({name: "x"})
    with pytest.raises(InputError, match="names within the bundle's folder"):
        read_members(archive)


def test_a_name_with_a_null_byte_is_not_cut_there(zipped: Make) -> None:
    archive = zipped({"spleen/a.jsonX.exe": "x"})
    archive.write_bytes(archive.read_bytes().replace(b"a.jsonX.exe", b"a.json\0.exe"))
    with pytest.raises(InputError, match="an invisible character"):
        read_members(archive)


@pytest.mark.parametrize(
    ("mode", "what"), [(stat.S_IFLNK, "a link"), (stat.S_IFIFO, "special file"), (stat.S_IFCHR, "special file")]
)
def test_links_and_devices_are_refused(zipped: Make, mode: int, what: str) -> None:
    archive = zipped()
    add_special_file(archive, "spleen/models", mode | 0o777)
    with pytest.raises(InputError, match=what):
        read_members(archive)


def test_encrypted_files_are_refused(zipped: Make) -> None:
    archive = zipped()
    patch_entry(archive, 8, struct.pack("<H", 1))
    with pytest.raises(InputError, match="encrypted"):
        read_members(archive)


def test_a_bomb_is_refused_before_it_is_unpacked_and_may_be_allowed(zipped: Make) -> None:
    archive = zipped({"spleen/zeros": bytes(150_000_000)})
    with pytest.raises(InputError, match=r"150,000,\d+ bytes when unpacked, \d+ times the zip.*--max-size"):
        read_members(archive)
    with pytest.raises(InputError, match="at most 149,999,999"):
        read_members(archive, max_bytes=149_999_999)
    assert len(read_members(archive, max_bytes=151_000_000)[1]) == 4


@pytest.mark.parametrize("declared", [5, 10_000])
def test_bytes_are_those_that_are_declared(zipped: Make, tmp_path: Path, declared: int) -> None:
    archive = zipped()
    patch_entry(archive, 24, struct.pack("<I", declared))
    _, members, _ = read_members(archive)
    (tmp_path / "out").mkdir()
    with pytest.raises(InputError, match="a damaged zip"):
        extract(archive, members, tmp_path / "out")


@pytest.mark.parametrize(("method", "skipped"), [(zipfile.ZIP_LZMA, 9), (zipfile.ZIP_BZIP2, 0)])
def test_a_damaged_member_is_told_in_every_way_of_packing(
    zipped: Make, tmp_path: Path, method: int, skipped: int
) -> None:
    archive = zipped()
    with zipfile.ZipFile(archive, "a") as opened:
        opened.writestr("spleen/a.bin", bytes(range(256)) * 400, compress_type=method)
    content = bytearray(archive.read_bytes())
    start = content.index(b"spleen/a.bin") + len("spleen/a.bin") + skipped
    content[start : start + 40] = b"\xff" * 40
    archive.write_bytes(bytes(content))
    _, members, _ = read_members(archive)
    (tmp_path / "out").mkdir()
    with pytest.raises(InputError, match="a damaged zip"):
        extract(archive, members, tmp_path / "out")


def test_many_files_are_refused_at_once(zipped: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    few = dataclasses.replace(archive_module._BUNDLE, max_members=2)
    monkeypatch.setattr(archive_module, "_BUNDLE", few)
    with pytest.raises(InputError, match="3 files; expected at most 2"):
        read_members(zipped())


def test_another_byte_within_a_file_is_told(zipped: Make, tmp_path: Path) -> None:
    archive = zipped()
    patch_entry(archive, 16, b"\0\0\0\0")
    _, members, _ = read_members(archive)
    (tmp_path / "out").mkdir()
    with pytest.raises(InputError, match="Bad CRC-32"):
        extract(archive, members, tmp_path / "out")


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (b"", "an empty file"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "a Git LFS pointer"),
        (b"\n<!DOCTYPE html><html>", "a web page"),
        (b"\x1f\x8b\x08 a tar.gz", "a file that is not a zip"),
    ],
)
def test_what_is_no_zip_is_told_apart(tmp_path: Path, content: bytes, found: str) -> None:
    file = tmp_path / "spleen.zip"
    file.write_bytes(content)
    with pytest.raises(InputError, match=found):
        read_members(file)


@pytest.mark.parametrize("kept", [0.3, 0.99])
def test_a_zip_that_is_cut_off(zipped: Make, kept: float) -> None:
    archive = zipped()
    content = archive.read_bytes()
    archive.write_bytes(content[: int(len(content) * kept)])
    with pytest.raises(InputError, match="cut off"):
        read_members(archive)


def test_a_mistyped_path_names_the_nearest(zipped: Make) -> None:
    archive = zipped()
    with pytest.raises(InputError, match=f"did you mean {archive}"):
        read_members(archive.with_name("downlaod.zip"))


@pytest.mark.parametrize(
    ("root", "more", "found"),
    [
        ("deep/spleen/", {}, "deep/spleen/configs/metadata.json"),
        ("spleen/", {"other/x": ""}, "not all files in its folder"),
    ],
)
def test_what_is_no_bundle_or_more_than_one(zipped: Make, root: str, more: dict[str, str], found: str) -> None:
    with pytest.raises(InputError, match=found):
        read_members(zipped(more, root=root))


def test_a_zip_of_something_else(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as opened:
        opened.writestr("photos/1.jpg", "x")
    with pytest.raises(InputError, match=r"1 file, but no configs/metadata\.json"):
        read_members(tmp_path / "a.zip")


def test_a_disk_that_is_or_becomes_full(zipped: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    archive = zipped()
    _, members, _ = read_members(archive)
    (tmp_path / "out").mkdir()

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("pipeline.data.zip_files._copy", full)
        with pytest.raises(InputError, match="a disk that became full"):
            extract(archive, members, tmp_path / "out")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(10, 5, 5))
    with pytest.raises(InputError, match="5 bytes free") as raised:
        extract(archive, members, tmp_path / "out")
    # The exit status is that of a full disk.
    assert disk_message(raised.value) == str(raised.value)
