"""Prepared cases come back as they were; a file of somebody else's runs nothing."""

import json
import pickle
import zlib
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest
import torch
from monai.data import MetaTensor
from monai.utils import GridSampleMode, TraceKeys

from pipeline.training.cache_format import _MAGIC, read_case_file, write_case_file

VALUES = {
    "plain": [None, True, 3, -0.1, float("inf"), "é\n", b"\0\xff"],
    "containers": {"a": (1, [2, (3,)]), 5: {1, 2}, "order": OrderedDict(b=1, a=2), "size": torch.Size([2, 3])},
    "enums": {TraceKeys.CLASS_NAME: "Spacingd", "mode": GridSampleMode.BILINEAR},
    "numbers": [np.int16(-3), np.float32(0.1), np.bool_(True), np.complex64(1j)],
    "no array": ["array", 0],
}
ARRAYS = [
    np.arange(6, dtype=">i2").reshape(2, 3),
    np.asfortranarray(np.arange(6.0).reshape(2, 3)),
    np.zeros((0, 4), dtype=np.uint8),
    np.array(2.5),
    np.array([True, False]),
]
TENSORS = [
    *(torch.arange(5).to(dtype) for dtype in (torch.float32, torch.float16, torch.bfloat16, torch.uint8, torch.int64)),
    torch.tensor(3.0),
    torch.arange(12.0).reshape(3, 4).T,
]


def there_and_back(value, folder):
    write_case_file(value, folder / "a.case")
    return read_case_file(folder / "a.case")


def test_values_keep_their_types(tmp_path):
    assert repr(there_and_back(VALUES, tmp_path)) == repr(VALUES)


@pytest.mark.parametrize("number", range(len(ARRAYS)))
def test_arrays_keep_type_shape_and_numbers(number, tmp_path):
    array = ARRAYS[number]
    back = there_and_back({"a": array}, tmp_path)["a"]
    assert (back.dtype, back.shape) == (array.dtype, array.shape)
    assert np.array_equal(back, array)
    assert back.flags.writeable


@pytest.mark.parametrize("number", range(len(TENSORS)))
def test_tensors_keep_type_shape_and_numbers(number, tmp_path):
    tensor = TENSORS[number]
    back = there_and_back([tensor, "after"], tmp_path)[0]
    assert (type(back), back.dtype, back.shape) == (torch.Tensor, tensor.dtype, tensor.shape)
    assert torch.equal(back, tensor)


def test_a_tensor_keeps_its_metadata_and_history(tmp_path):
    tensor = MetaTensor(torch.ones(1, 2, 2), affine=2 * torch.eye(4), meta={"pixdim": np.ones(8, dtype=np.float32)})
    tensor.applied_operations = [{TraceKeys.CLASS_NAME: "Flip", "extra": {"axis": (0,), "affine": torch.eye(4)}}]
    back = there_and_back(tensor, tmp_path)
    assert type(back) is MetaTensor
    assert torch.equal(back.as_tensor(), tensor.as_tensor())
    assert repr(vars(back)) == repr(vars(tensor))


def test_what_is_there_twice_is_written_once(tmp_path):
    array = np.zeros(100_000, dtype=np.uint8)
    back = there_and_back([array, {"same": array}], tmp_path)
    assert (tmp_path / "a.case").stat().st_size < 101_000
    assert back[0] is back[1]["same"]


@pytest.mark.parametrize(
    "value",
    [Path("a"), iter([]), np.array([None]), np.array(["a"]), torch.nn.Parameter(torch.ones(1)), print, np.str_("a")],
    ids=["path", "iterator", "objects", "texts", "parameter", "function", "text"],
)
def test_nothing_else_is_written(value, tmp_path):
    with pytest.raises(TypeError):
        write_case_file({"a": [value]}, tmp_path / "a.case")


class Payload:
    """Makes a file when it is unpickled."""

    def __init__(self, marker):
        self.marker = marker

    def __reduce__(self):
        return Path.touch, (self.marker,)


def write_by_hand(path, head, numbers=b""):
    body = json.dumps(head).encode() + numbers
    length = len(body) - len(numbers)
    path.write_bytes(_MAGIC + length.to_bytes(8, "little") + zlib.crc32(body).to_bytes(4, "little") + body)


def test_a_pickle_is_not_loaded(tmp_path):
    file, marker = tmp_path / "a.case", tmp_path / "marker"
    pickled = pickle.dumps(Payload(marker))
    for content in (pickled, _MAGIC + pickled):
        file.write_bytes(content)
        with pytest.raises(ValueError, match=r"checksum|not a prepared case"):
            read_case_file(file)
    torch.save(Payload(marker), file)
    with pytest.raises(ValueError, match="not a prepared case"):
        read_case_file(file)
    # Objects in an array, in words that NumPy would understand.
    write_by_hand(file, {"arrays": [["|O", [1], 0]], "content": ["array", 0]}, pickled)
    with pytest.raises(ValueError, match=r"\|O"):
        read_case_file(file)
    assert not marker.exists()


@pytest.mark.parametrize(
    ("arrays", "content"),
    [
        ([["<f8", [10**12], 0]], ["array", 0]),
        ([["<f8", [-1], 0]], ["array", 0]),
        ([["<f8", [1], -8]], ["array", 0]),
        ([["V8", [1], 0]], ["array", 0]),
        ([], ["array", 0]),
        ([], ["tensor", "0"]),
        ([], ["os.system", 0]),
        ([], ["enum", "os", "system"]),
        ([], ["enum", "TraceKeys", "no such key"]),
        ([], {"a": 1}),
        ([], [["list"]]),
    ],
)
def test_a_file_that_lies_is_an_error(arrays, content, tmp_path):
    write_by_hand(tmp_path / "a.case", {"arrays": arrays, "content": content}, bytes(16))
    with pytest.raises((ValueError, IndexError, KeyError, TypeError)):
        read_case_file(tmp_path / "a.case")
