from pathlib import Path

import numpy as np
import pytest

from pipeline.bundle.unpack.onnx_paths import find_external_paths
from pipeline.bundle.unpack.weights import examine_weights


def field(number: int, content: bytes | str | int) -> bytes:
    """A field of Protocol Buffers, by its encoding's rules: tag, length, bytes; short ones only."""
    if isinstance(content, int):
        return bytes([number << 3, content])
    content = content.encode() if isinstance(content, str) else content
    tag = bytes([number << 3 | 2]) if number < 16 else bytes([(number & 15) << 3 | 2 | 0x80, number >> 4])
    return tag + bytes([len(content)]) + content


def tensor(place: str) -> bytes:
    entry = field(1, "location") + field(2, place)
    return field(8, "name") + field(13, entry) + field(13, field(1, "offset") + field(2, "0")) + field(14, 1)


GRAPH = field(5, tensor("w.bin"))
CONSTANT = field(1, field(5, field(1, "value") + field(5, tensor("../c.bin"))))
MODEL = field(1, 8) + field(2, "pytorch") + field(7, GRAPH + CONSTANT)


def test_paths_are_found_in_initializers_and_attributes(tmp_path: Path) -> None:
    (tmp_path / "model.onnx").write_bytes(MODEL)
    assert find_external_paths(tmp_path / "model.onnx") == {"w.bin", "../c.bin"}


def test_paths_are_found_in_subgraphs_and_functions(tmp_path: Path) -> None:
    branch = field(7, field(1, field(5, field(6, field(5, tensor("/etc/a"))))))
    function = field(25, field(7, field(5, field(5, tensor("b")))))
    (tmp_path / "model.onnx").write_bytes(branch + function)
    assert find_external_paths(tmp_path / "model.onnx") == {"/etc/a", "b"}


def test_paths_are_those_that_onnx_writes(tmp_path: Path) -> None:
    onnx = pytest.importorskip("onnx")
    weight = onnx.numpy_helper.from_array(np.ones((4, 4), np.float32), "w")
    x, y = (onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, [4, 4]) for name in "xy")
    graph = onnx.helper.make_graph([onnx.helper.make_node("MatMul", ["x", "w"], ["y"])], "g", [x], [y], [weight])
    saving = {"save_as_external_data": True, "location": "beside.bin", "size_threshold": 0}
    onnx.save(onnx.helper.make_model(graph), tmp_path / "a.onnx", **saving)
    assert find_external_paths(tmp_path / "a.onnx") == {"beside.bin"}


@pytest.mark.parametrize("content", [MODEL[:-3], b"<html>", b"\xff" * 20])
def test_what_is_no_onnx(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "model.onnx").write_bytes(content)
    with pytest.raises(ValueError, match=r"cut off|not a message"):
        find_external_paths(tmp_path / "model.onnx")
    assert "not ONNX" in examine_weights(tmp_path, ["model.onnx"])[0].problem


@pytest.mark.parametrize(
    ("place", "outside"),
    [("w.bin", False), ("sub/w.bin", False), ("../w", True), ("/etc/passwd", True), ("C:\\w", True)],
)
def test_tensors_outside_of_the_bundle_are_refused(tmp_path: Path, place: str, outside: bool) -> None:
    (tmp_path / "model.onnx").write_bytes(field(7, field(5, tensor(place))))
    (found,) = examine_weights(tmp_path, ["model.onnx"])
    assert bool(found.problem) is outside
    assert place in (found.problem or found.what)
