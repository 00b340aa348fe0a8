"""The int8 form of a file of weights: what is written beside it, and what is refused."""

import errno
import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from pipeline import disk
from pipeline.data.errors import InputError
from pipeline.data.int8_file import copy_int8, find_int8, list_int8_files, read_int8_record, write_int8
from pipeline.disk import DiskError

WINDOW = [1, 8, 8, 8]


def save(path: Path) -> None:
    path.write_text("<net/>")
    path.with_suffix(".bin").write_bytes(b"numbers")


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    file = tmp_path / "models" / "model.pt"
    file.parent.mkdir()
    file.write_bytes(b"weights")
    write_int8(file, save, {"window": WINDOW, "dice": {"ball": {"fall": 0.0001}}})
    return file


def test_three_files_lie_beside_the_weights(weights: Path) -> None:
    assert sorted(file.name for file in weights.parent.iterdir()) == [
        "model.int8.bin",
        "model.int8.json",
        "model.int8.xml",
        "model.pt",
    ]
    record = json.loads((weights.parent / "model.int8.json").read_text())
    assert record == {
        "format": 1,
        "weights": "model.pt",
        "weights_sha256": hashlib.sha256(b"weights").hexdigest(),
        "files": {"xml": hashlib.sha256(b"<net/>").hexdigest(), "bin": hashlib.sha256(b"numbers").hexdigest()},
        "window": WINDOW,
        "dice": {"ball": {"fall": 0.0001}},
    }
    assert read_int8_record(weights) == record
    assert find_int8(weights) == find_int8(weights, shape=(1, 8, 8, 8)) == weights.parent / "model.int8.xml"


@pytest.mark.parametrize(
    ("name", "change", "found"),
    [
        ("model.pt", b"other", "model.int8.json: found an int8 network of other weights than those in model.pt now"),
        ("model.int8.xml", b"<other/>", "model.int8.xml: found a file that was changed after it was written"),
        ("model.int8.bin", b"number", "model.int8.bin: found a file that was changed after it was written"),
        ("model.int8.bin", None, "model.int8.bin: found no such file"),
        ("model.int8.json", None, "model.int8.json: found no such file"),
        ("model.int8.json", b"{", "model.int8.json: found a file that cannot be read"),
        ("model.int8.json", b"[1]", "model.int8.json: found a record of another form"),
        ("model.int8.json", b'{"format": 1, "weights_sha256": "", "files": {}, "window": [1, "8"]}', "of another form"),
        ("model.int8.json", b'{"format": 2, "weights_sha256": "", "files": {}, "window": []}', "of another form"),
    ],
)
def test_what_changed_is_refused(weights: Path, name: str, change: bytes | None, found: str) -> None:
    file = weights.parent / name
    file.unlink() if change is None else file.write_bytes(change)
    with pytest.raises(InputError) as caught:
        find_int8(weights)
    assert found in str(caught.value)
    assert "lightskip quantize" in str(caught.value)


def test_windows_of_another_shape_are_refused(weights: Path) -> None:
    with pytest.raises(InputError, match="--runtime int8: found windows of 1 x 8 x 8 x 4; expected 1 x 8 x 8 x 8"):
        find_int8(weights, shape=(1, 8, 8, 4))


def test_a_failure_leaves_the_earlier_form_or_none(weights: Path) -> None:
    def fail(path: Path) -> None:
        path.write_text("half")
        raise RuntimeError("no space left")

    with pytest.raises(OSError, match=r"model\.int8\.xml"):
        write_int8(weights, fail, {"window": WINDOW})
    assert find_int8(weights).read_text() == "<net/>"
    assert len(list(weights.parent.iterdir())) == 4


def test_a_full_disk_keeps_the_earlier_form(weights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written = Path.write_text

    def write_little(path: Path, text: str, **more: Any) -> int:
        if path.name == "model.int8.json":
            raise OSError(errno.ENOSPC, "No space left on device")
        return written(path, text, **more)

    def fail(_path: Path) -> None:
        raise RuntimeError("OpenVINO does not say why")

    monkeypatch.setattr(Path, "write_text", write_little)
    with pytest.raises(DiskError, match=r"model\.int8\.json"):
        write_int8(weights, lambda path: [path.with_suffix(end).write_bytes(b"new") for end in (".xml", ".bin")], {})
    monkeypatch.setattr(disk, "_free_bytes", lambda _: 4096)
    with pytest.raises(DiskError, match="No space left"):
        write_int8(weights, fail, {})
    assert find_int8(weights).read_text() == "<net/>"


def test_a_copy_belongs_to_the_weights_beside_it(weights: Path, tmp_path: Path) -> None:
    target = tmp_path / "model.pt"
    target.write_bytes(b"pruned")
    assert copy_int8(weights, target) == list(list_int8_files(target).values())
    assert find_int8(target).read_text() == "<net/>"
    assert read_int8_record(target)["dice"] == {"ball": {"fall": 0.0001}}
    weights.write_bytes(b"other")
    with pytest.raises(InputError, match="other weights"):
        copy_int8(weights, target)
