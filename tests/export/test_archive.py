from __future__ import annotations

import os
import shutil
import subprocess
import zipfile
from pathlib import Path

import pytest
import yaml

from pipeline.export.archive import CHECKSUMS, file_sha256, list_files, write_checksums, write_large_files, write_zip

CONTENTS = {
    "configs/train.json": b"{}\n",
    "docs/README.md": "# Größe\n".encode(),
    "models/model.pt": bytes(range(256)) * 100,
    "scripts/a b/c.py": b"",
    "LICENSE": b"words\n",
}


def bundle(folder: Path, names: list[str]) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(CONTENTS[name])
    return folder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return bundle(tmp_path / "one" / "phantom", list(CONTENTS))


def test_files_are_listed_by_name_without_compiled_ones(folder):
    (folder / "scripts" / "__pycache__").mkdir()
    (folder / "scripts" / "__pycache__" / "c.pyc").touch()
    assert [name for name, _ in list_files(folder)] == sorted(CONTENTS)
    assert all(path == folder / name for name, path in list_files(folder))
    # The folder's own location does not matter.
    moved = shutil.copytree(folder, folder.parent / "__pycache__" / "phantom")
    assert [name for name, _ in list_files(moved)] == sorted(CONTENTS)


def test_zip_has_the_folder_as_its_one_root(folder, tmp_path):
    write_zip(folder, tmp_path / "out" / "phantom.zip")
    with zipfile.ZipFile(tmp_path / "out" / "phantom.zip") as archive:
        assert archive.testzip() is None
        assert {name: archive.read(f"phantom/{name}") for name in CONTENTS} == CONTENTS
        assert len(archive.namelist()) == len(CONTENTS)
        # Readable by everyone once it is unpacked, and of no time.
        assert {entry.external_attr >> 16 for entry in archive.infolist()} == {0o644}
        assert {entry.date_time for entry in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["phantom.zip"]


def test_zip_is_the_same_whatever_the_times_rights_and_order_of_writing(folder, tmp_path):
    other = bundle(tmp_path / "two" / "phantom", list(reversed(CONTENTS)))
    for seconds, name in enumerate(CONTENTS):
        os.utime(other / name, (1e9 + seconds, 1e9 + seconds))
        (other / name).chmod(0o600)
    write_zip(folder, tmp_path / "one.zip")
    write_zip(other, tmp_path / "two.zip")
    assert (tmp_path / "one.zip").read_bytes() == (tmp_path / "two.zip").read_bytes()
    (other / "LICENSE").write_bytes(b"other words\n")
    write_zip(other, tmp_path / "two.zip")
    assert (tmp_path / "one.zip").read_bytes() != (tmp_path / "two.zip").read_bytes()


def test_sha256sum_accepts_the_checksums(folder):
    write_checksums(folder)
    write_checksums(folder)  # its own is not among them
    sums = (folder / CHECKSUMS).read_text(encoding="utf-8").splitlines()
    assert [line.partition("  ")[2] for line in sums] == sorted(CONTENTS)
    tool = shutil.which("sha256sum")
    if tool is None:
        pytest.skip("no sha256sum on this machine")
    command = [tool, "--check", "--strict", CHECKSUMS]
    assert subprocess.run(command, cwd=folder, capture_output=True, check=False).returncode == 0
    (folder / "LICENSE").write_bytes(b"other words\n")
    assert subprocess.run(command, cwd=folder, capture_output=True, check=False).returncode == 1


def test_sha256_of_known_bytes(tmp_path):
    (tmp_path / "abc").write_bytes(b"abc")
    # FIPS 180-2, appendix B.1.
    assert file_sha256(tmp_path / "abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


def test_large_files_are_listed_with_their_checksums(folder):
    assert write_large_files(folder, max_bytes=25_599) == ["models/model.pt"]
    content = yaml.safe_load((folder / "large_files.yml").read_text(encoding="utf-8"))
    (entry,) = content["large_files"]
    assert (entry["path"], entry["hash_type"]) == ("models/model.pt", "sha256")
    assert entry["hash_val"] == file_sha256(folder / "models" / "model.pt")
    assert entry["url"].startswith("TO FILL IN")


@pytest.mark.parametrize("options", [{}, {"max_bytes": 25_600}])
def test_no_list_where_no_file_is_large(folder, options):
    assert write_large_files(folder, **options) == []
    assert not (folder / "large_files.yml").exists()
