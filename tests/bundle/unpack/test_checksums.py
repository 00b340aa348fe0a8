import json
import subprocess
from pathlib import Path

import pytest

from pipeline.bundle.unpack.checksums import MANIFEST, verify_checksums
from pipeline.data.errors import InputError

CONTENT = b"weights"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "models").mkdir()
    (tmp_path / "docs").mkdir()
    (tmp_path / "models" / "model.pt").write_bytes(CONTENT)
    return tmp_path


def statuses(folder: Path, entries: list[dict[str, str]], *, name: str = "large_files.json") -> dict[str, str]:
    (folder / name).write_text(json.dumps({"large_files": entries}))
    return {one.file: one.status for one in verify_checksums(folder, [name, "models/model.pt"])}


@pytest.mark.parametrize("name", ["large_files.json", "large_files.yml", "large_files.yaml"])
@pytest.mark.parametrize("kind", ["md5", "sha1", "sha256", "sha512", "SHA-256", ""])
def test_large_files_match_or_differ(folder: Path, name: str, kind: str) -> None:
    tool = {"sha-256": "sha256", "": "md5"}.get(kind.lower(), kind)
    printed = subprocess.run([f"{tool}sum", folder / "models/model.pt"], capture_output=True, text=True, check=True)
    digest = printed.stdout.split()[0]
    entry = {"path": "models/model.pt", "url": "https://x/y", "hash_val": digest.upper(), "hash_type": kind}
    assert statuses(folder, [entry], name=name) == {"models/model.pt": "matches"}
    (folder / "models" / "model.pt").write_bytes(b"other")
    assert statuses(folder, [entry], name=name) == {"models/model.pt": "differs"}


def test_a_large_file_that_is_elsewhere_or_without_a_checksum(folder: Path) -> None:
    entries = [
        {"path": "models/model.ts", "url": "https://x/y", "hash_val": "0", "hash_type": "md5"},
        {"path": "models/model.pt", "url": "https://x/z", "hash_val": "", "hash_type": ""},
    ]
    assert statuses(folder, entries) == {"models/model.ts": "not in the bundle", "models/model.pt": "not checked"}
    first = verify_checksums(folder, ["large_files.json"])[0]
    assert (first.note, first.refused) == ("to be downloaded from https://x/y", False)


def test_a_checksum_of_digits_alone_is_no_number(folder: Path) -> None:
    text = "large_files:\n- path: models/model.pt\n  hash_val: 012\n  hash_type: md5\n"
    (folder / "large_files.yml").write_text(text)
    assert verify_checksums(folder, ["large_files.yml"])[0].status == "differs"


@pytest.mark.parametrize("path", ["../model.pt", "/etc/passwd", "models\\..\\..\\x", "C:/x", ""])
def test_no_path_of_a_list_leaves_the_bundle(folder: Path, path: str) -> None:
    with pytest.raises(InputError, match=r"paths within the bundle|without a path"):
        statuses(folder, [{"path": path, "url": "u"}])
    (folder / MANIFEST).write_text(f"{'0' * 64}  {path}\n")
    with pytest.raises(InputError, match=r"paths within the bundle|no checksum and path"):
        verify_checksums(folder, [MANIFEST])


@pytest.mark.parametrize(
    "more",
    [
        {"large_files::0::url": "https://evil"},
        {"large_files#0#url": "https://evil"},
        {"+large_files": [{"path": "a", "url": "b"}]},
        {"other": 1},
    ],
)
def test_what_monai_would_mix_into_the_list_is_refused(folder: Path, more: dict[str, object]) -> None:
    entries = [{"path": "models/model.pt", "url": "https://x/y", "hash_val": "", "hash_type": ""}]
    (folder / "large_files.json").write_text(json.dumps({"large_files": entries, **more}))
    with pytest.raises(InputError, match="only the list large_files"):
        verify_checksums(folder, ["large_files.json"])


def test_every_list_that_monai_takes_is_read(folder: Path) -> None:
    assert statuses(folder, [{"path": "a", "url": "u"}], name="large_files_more.json") == {"a": "not in the bundle"}
    (folder / "large_files.yml").write_text("large_files: []")
    with pytest.raises(InputError, match="more than one list"):
        verify_checksums(folder, ["large_files.yml", "large_files_more.json"])


def test_what_is_downloaded_without_a_checksum_is_told(folder: Path) -> None:
    statuses(folder, [{"path": "a", "url": "u", "hash_val": ""}])
    assert verify_checksums(folder, ["large_files.json"])[0].note == "to be downloaded, without a checksum from u"


def test_what_both_lists_name_and_is_not_there_is_to_be_downloaded(folder: Path) -> None:
    (folder / "large_files.json").write_text(json.dumps({"large_files": [{"path": "models/big.pt", "url": "u"}]}))
    (folder / MANIFEST).write_text(f"# filled in by hand\n{'0' * 64}  models/big.pt\n")
    found = verify_checksums(folder, ["large_files.json", MANIFEST])
    assert [(one.file, one.status) for one in found] == [
        ("models/big.pt", "not in the bundle"),
        ("large_files.json", "not listed"),
    ]


@pytest.mark.parametrize("text", ["[]", "{}", '{"large_files": {"path": "a"}}', '{"large_files": [1]}', "{"])
def test_a_list_of_large_files_that_is_none(folder: Path, text: str) -> None:
    (folder / "large_files.json").write_text(text)
    with pytest.raises(InputError, match=r"large_files\.json"):
        verify_checksums(folder, ["large_files.json"])


def test_an_unknown_kind_of_checksum(folder: Path) -> None:
    with pytest.raises(InputError, match="the unknown hash_type crc32"):
        statuses(folder, [{"path": "models/model.pt", "hash_val": "0", "hash_type": "crc32"}])


def test_the_manifest_is_that_of_sha256sum(folder: Path) -> None:
    files = ["LICENSE", "docs/a b.md", "models/model.pt"]
    for name in files[:2]:
        (folder / name).write_text(name)
    printed = subprocess.run(["sha256sum", *files], cwd=folder, capture_output=True, text=True, check=True).stdout
    (folder / MANIFEST).write_text(printed)
    here = [*files, MANIFEST]
    assert {one.file: one.status for one in verify_checksums(folder, here)} == dict.fromkeys(files, "matches")
    (folder / "LICENSE").write_text("other")
    (folder / "models" / "model.pt").unlink()
    (folder / "new").write_text("new")
    found = {
        one.file: (one.status, one.refused)
        for one in verify_checksums(folder, ["LICENSE", "docs/a b.md", "new", MANIFEST])
    }
    assert found == {
        "LICENSE": ("differs", True),
        "docs/a b.md": ("matches", False),
        "models/model.pt": ("missing", True),
        "new": ("not listed", False),
    }


@pytest.mark.parametrize("content", [b"abc  LICENSE\n", b"\xff\xfe", b"0" * 64 + b"\n"])
def test_a_manifest_that_is_none(folder: Path, content: bytes) -> None:
    (folder / MANIFEST).write_bytes(content)
    with pytest.raises(InputError, match=MANIFEST):
        verify_checksums(folder, [MANIFEST])
