import collections
import json
import os
import pickle
import resource
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest
import torch

from pipeline.bundle.unpack.weights import Weights, examine_weights


class Evil:
    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.mark),)


def examine_file(folder: Path, file: str) -> Weights:
    (found,) = examine_weights(folder, [file, "LICENSE"])
    return found


@pytest.fixture(autouse=True)
def licence(tmp_path: Path) -> None:
    (tmp_path / "LICENSE").write_text("MIT")


@pytest.mark.parametrize("zipped", [True, False])
def test_weights_are_counted(tmp_path: Path, zipped: bool) -> None:
    content = {"model": {"a": torch.zeros(3, 4), "b": [torch.ones(2, dtype=torch.int64)]}, "epoch": 3}
    torch.save(content, tmp_path / "model.pt", _use_new_zipfile_serialization=zipped)
    found = examine_file(tmp_path, "model.pt")
    assert (found.what, found.problem) == ("2 tensors, 14 numbers (float32, int64); nothing else", "")
    assert found.size == (tmp_path / "model.pt").stat().st_size


@pytest.mark.parametrize("file", ["model.pt", "model.pth", "model.ckpt", "weights"])
def test_a_pickle_is_refused_with_what_it_wants_and_does_not_run(tmp_path: Path, file: str) -> None:
    torch.save([torch.ones(1), Evil(tmp_path / "ran"), collections.deque()], tmp_path / file)
    found = examine_file(tmp_path, file)
    assert found.problem == "a pickle that calls collections.deque, posix.mkdir when it is loaded"
    assert not (tmp_path / "ran").exists()


def test_an_old_pickle_is_refused_with_pytorchs_reason(tmp_path: Path) -> None:
    torch.save(Evil(tmp_path / "ran"), tmp_path / "a.pt", _use_new_zipfile_serialization=False)
    assert "posix.mkdir" in examine_file(tmp_path, "a.pt").problem
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("mark", ["archive/archive_format", "archive/code/a.py", "constants.pkl", "code/a.py"])
def test_a_pickle_in_a_programs_clothes_is_looked_at(tmp_path: Path, mark: str) -> None:
    torch.save(Evil(tmp_path / "ran"), tmp_path / "archive.pt")
    with zipfile.ZipFile(tmp_path / "archive.pt", "a") as opened:
        opened.writestr(mark, "x")
    assert examine_file(tmp_path, "archive.pt").problem
    assert not (tmp_path / "ran").exists()


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("file", ["model.ts", "model.pt"])
def test_torchscript_is_a_program_and_is_not_loaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, file: str) -> None:
    torch.jit.save(torch.jit.script(torch.nn.ReLU()), tmp_path / file)
    monkeypatch.setattr(torch, "load", None)
    monkeypatch.setattr(torch.jit, "load", None)
    found = examine_file(tmp_path, file)
    assert (found.program, found.problem) == (True, "")
    assert "PyTorch runs it when it is loaded (TorchScript)" in found.what


def test_an_exported_program_is_a_program(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "model.pt2", "w") as opened:
        opened.writestr("model/archive_format", "pt2")
    found = examine_file(tmp_path, "model.pt2")
    assert (found.program, "torch.export" in found.what) == (True, True)


def test_compressed_tensors_are_refused_before_they_fill_the_memory(tmp_path: Path) -> None:
    torch.save({"a": torch.zeros(1000)}, tmp_path / "a.pt")
    with (
        zipfile.ZipFile(tmp_path / "a.pt") as source,
        zipfile.ZipFile(tmp_path / "b.pt", "w", zipfile.ZIP_DEFLATED) as sink,
    ):
        for name in source.namelist():
            sink.writestr(name, source.read(name))
    assert "compressed tensors" in examine_file(tmp_path, "b.pt").problem


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", "an empty file"),
        (b"version https://git-lfs.github.com/spec/v1\n", "a Git LFS pointer"),
        (b"<html>", "not loaded with weights_only=True"),
        (b"PK\x03\x04 cut off", "not loaded with weights_only=True"),
    ],
)
def test_what_is_no_weights(tmp_path: Path, content: bytes, problem: str) -> None:
    (tmp_path / "model.pt").write_bytes(content)
    assert problem in examine_file(tmp_path, "model.pt").problem


def safetensors(header: object, tensors: bytes) -> bytes:
    text = json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + tensors


def test_safetensors_hold_nothing_else(tmp_path: Path) -> None:
    header = {"a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}, "__metadata__": {"format": "pt"}}
    (tmp_path / "model.safetensors").write_bytes(safetensors(header, bytes(8)))
    found = examine_file(tmp_path, "model.safetensors")
    assert (found.problem, found.program, found.loaded) == ("", False, False)


@pytest.mark.parametrize(
    "content",
    [
        b"x",
        pickle.dumps({"a": 1}),
        safetensors([], b""),
        safetensors({"a": {"data_offsets": [0, 8]}}, bytes(9)),
        safetensors({"a": 1}, b""),
        (2**40).to_bytes(8, "little") + b"{}",
        b"\x02" + bytes(7) + b"{]",
    ],
)
def test_what_is_no_safetensors(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "model.safetensors").write_bytes(content)
    assert "not safetensors" in examine_file(tmp_path, "model.safetensors").problem


@pytest.mark.parametrize("file", ["a.ts", "a.pt2", "a.engine", "a.plan", "a.onnx"])
@pytest.mark.parametrize("protocol", [0, 2, 5])
def test_a_pickle_that_is_called_a_program_is_refused(tmp_path: Path, file: str, protocol: int) -> None:
    (tmp_path / file).write_bytes(pickle.dumps(Evil(tmp_path / "ran"), protocol=protocol))
    assert examine_file(tmp_path, file).problem
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("file", ["a.ts", "a.pt2", "a.engine", "a.plan"])
def test_weights_that_are_called_a_program_are_refused(tmp_path: Path, file: str) -> None:
    torch.save({"a": torch.zeros(2)}, tmp_path / file)
    assert "in spite of its name" in examine_file(tmp_path, file).problem


def test_an_engine_is_a_program(tmp_path: Path) -> None:
    (tmp_path / "a.plan").write_bytes(b"ftrt" + bytes(20))
    found = examine_file(tmp_path, "a.plan")
    assert (found.problem, found.program) == ("", True)


def test_a_pickle_that_is_a_message_of_protocol_buffers_as_well_is_refused(tmp_path: Path) -> None:
    # A field of one byte that is no field of ONNX's, and the number of pickle's protocol.
    (tmp_path / "a.onnx").write_bytes(b"\x80\x02\x00")
    assert "a pickle" in examine_file(tmp_path, "a.onnx").problem


@pytest.mark.parametrize("mark", ["x/constants.pkl", "x/archive_format"])
def test_a_zip_after_a_pickles_end_makes_no_program_of_it(tmp_path: Path, mark: str) -> None:
    torch.save(Evil(tmp_path / "ran"), tmp_path / "a.pt", _use_new_zipfile_serialization=False)
    with zipfile.ZipFile(tmp_path / "a.pt", "a") as opened:
        opened.writestr(mark, "x")
    found = examine_file(tmp_path, "a.pt")
    assert (bool(found.problem), found.program) == (True, False)
    assert not (tmp_path / "ran").exists()


def test_another_folder_in_the_zip_makes_no_program_of_it(tmp_path: Path) -> None:
    torch.save(Evil(tmp_path / "ran"), tmp_path / "a.pt")
    with zipfile.ZipFile(tmp_path / "a.pt", "a") as opened:
        opened.writestr("other/constants.pkl", "x")
    found = examine_file(tmp_path, "a.pt")
    assert (bool(found.problem), found.program) == (True, False)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux limits the memory of a process in effect")
def test_a_few_bytes_do_not_fill_the_memory(tmp_path: Path) -> None:
    # More than other tests of this process can have left behind in malloc's hands, which the limit does not count.
    content = b"\x80\x02c__builtin__\nbytearray\nJ" + (2_000_000_000).to_bytes(4, "little") + b"\x85R."
    (tmp_path / "a.pt").write_bytes(content)
    before = resource.getrlimit(resource.RLIMIT_AS)
    assert "memory" in examine_file(tmp_path, "a.pt").problem
    assert resource.getrlimit(resource.RLIMIT_AS) == before
