"""Errors of too little memory and of ended processes are told from bugs, and explained."""

import errno
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from pipeline.data.errors import InputError
from pipeline.data.faults import (
    explain_fault,
    is_dead_worker,
    is_explained,
    is_out_of_memory,
    name_items,
    name_next_cases,
)

KILLED = RuntimeError("DataLoader worker (pid 4711) is killed by signal: Killed. ")
GONE = RuntimeError("DataLoader worker (pid(s) 4711, 4712) exited unexpectedly")


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (MemoryError(), True),
        (np._core._exceptions._ArrayMemoryError((10**9,), np.dtype(float)), True),
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB."), True),
        (RuntimeError("[enforce fail at alloc_cpu.cpp:117] . DefaultCPUAllocator: can't allocate memory: you"), True),
        (RuntimeError("could not create a primitive: std::bad_alloc"), True),
        (OSError(12, "Cannot allocate memory"), True),
        (RuntimeError("shape mismatch"), False),
        (ValueError("out of memory is what this text is about"), False),
        (None, False),
    ],
)
def test_too_little_memory_is_known_by_type_or_words(error, expected):
    assert is_out_of_memory(error) is expected
    assert is_explained(error) is expected


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (
            KILLED,
            r"out: found a data-loading process that was ended by the system \(Killed\) while training \(cases a",
        ),
        (
            GONE,
            "process that ended unexpectedly while training .* set --num_workers to a smaller number",
        ),
        (RuntimeError(f"{KILLED}".replace("Killed", "Bus error")), "make the shared memory .* larger"),
        (MemoryError("no"), r"too little memory while training \(cases a, b\): no; .* What to do: set less"),
    ],
)
def test_the_message_names_the_cases_and_the_settings(error, words):
    found = explain_fault(error, where="out", cases=["a", "b", "a"], doing="training", memory_remedy="set less")
    assert isinstance(found, InputError)
    with pytest.raises(InputError, match=words):
        raise found


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EIO])
def test_a_full_or_broken_disk_gets_one_message_at_the_end(number):
    assert is_explained(OSError(number, "of a disk"))
    assert not is_explained(OSError(errno.ENOENT, "No such file or directory"))


def test_other_errors_stay_as_they_are():
    assert explain_fault(RuntimeError("a bug"), where="out", doing="training", memory_remedy="") is None
    assert not is_dead_worker(ValueError(str(KILLED)))


def test_long_lists_of_names_are_cut():
    assert name_items(["a"]) == "case a"
    assert name_items([f"c{number}" for number in range(10)]) == "cases c0, c1, c2, c3, c4, c5, c6, c7 and 2 more"


@pytest.mark.parametrize(("sampler", "expected"), [(range(1, 4), ["b.nii", "c.nii"]), (None, []), ({3, 1}, [])])
def test_the_next_cases_of_a_loader_in_order(sampler, expected):
    data = [{"image": f"/x/{name}.nii"} for name in "abc"] + [{"image": ["/x/d_0.nii", "/x/d_1.nii"]}]
    loader = SimpleNamespace(sampler=sampler, batch_size=1, dataset=SimpleNamespace(data=data))
    assert name_next_cases(loader, 0, more=1) == expected
