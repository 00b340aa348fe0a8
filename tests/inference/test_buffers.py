"""Arrays that are used again, and NumPy's operations on them against PyTorch's."""

import numpy as np
import pytest
import torch

from pipeline.inference.buffers import Buffers, take_along, update_best

CPU = torch.device("cpu")


def test_a_name_keeps_its_memory() -> None:
    buffers = Buffers(CPU)
    first = buffers.get("logits", (2, 3, 4))
    assert (first.shape, first.dtype, first.is_contiguous()) == ((2, 3, 4), torch.float32, True)
    for shape in ((4, 3, 2), (5, 2), (1,), (2, 3, 4)):
        again = buffers.get("logits", shape)
        assert again.shape == shape
        assert again.is_contiguous()
        assert again.data_ptr() == first.data_ptr()
    assert buffers.get("labels", (2, 3, 4)).data_ptr() != first.data_ptr()


def test_a_larger_array_or_another_type_has_memory_of_its_own() -> None:
    buffers = Buffers(CPU)
    small = buffers.get("logits", (2, 3)).fill_(7)
    large = buffers.get("logits", (3, 3)).fill_(1)
    assert large.data_ptr() != small.data_ptr()
    # Who holds the earlier one keeps it.
    assert (small == 7).all()
    assert buffers.get("logits", (2, 3)).data_ptr() == large.data_ptr()
    labels = buffers.get("logits", (2, 3), torch.uint8)
    assert labels.dtype == torch.uint8
    assert (large == 1).all()


def test_an_array_may_be_empty() -> None:
    assert Buffers(CPU).get("rows", (2, 0, 3)).shape == (2, 0, 3)
    assert Buffers(CPU).get("one", ()).shape == ()


@pytest.mark.parametrize("dtype", [torch.float32, torch.uint8, torch.int32])
@pytest.mark.parametrize("axis", [0, 1, 2])
def test_values_along_an_axis_are_pytorch_s(axis: int, dtype: torch.dtype) -> None:
    draw = torch.Generator().manual_seed(0)
    values = torch.randint(0, 200, (5, 6, 7), generator=draw).to(dtype)
    index = torch.randint(0, values.shape[axis], (9,), generator=draw)
    expected = torch.index_select(values, axis, index)
    out = torch.empty_like(expected)
    assert take_along(values, axis, index, out) is out
    assert torch.equal(out, expected)


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int32])
def test_the_best_class_is_pytorch_s(dtype: torch.dtype) -> None:
    # Few values, so that many classes are equally probable.
    probabilities = torch.randint(0, 4, (6, 5, 4, 3), generator=torch.Generator().manual_seed(1)) / 4
    best = torch.zeros(probabilities.shape[1:], dtype=dtype)
    highest = probabilities[0].clone()
    mask = torch.empty(best.shape, dtype=torch.bool)
    for number in range(1, len(probabilities)):
        update_best(best, highest, probabilities[number], number, mask)
    # Of equals the first, as NumPy's argmax.
    np.testing.assert_array_equal(best.numpy(), probabilities.numpy().argmax(axis=0))
    assert torch.equal(highest, probabilities.amax(dim=0))


def test_the_other_class_and_shared_memory_stay_as_they_are() -> None:
    whole = torch.tensor([[0.2, 0.5, 0.3], [0.9, 0.9, 0.9]])
    best, highest = torch.zeros(3, dtype=torch.uint8), torch.tensor([0.4, 0.4, 0.3])
    update_best(best, highest, whole[0], 255, torch.empty(3, dtype=torch.bool))
    assert best.tolist() == [0, 255, 0]
    assert highest.tolist() == torch.tensor([0.4, 0.5, 0.3]).tolist()
    assert torch.equal(whole, torch.tensor([[0.2, 0.5, 0.3], [0.9, 0.9, 0.9]]))
