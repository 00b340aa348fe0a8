"""Weights of others are loaded in a process of their own, which may run out of memory."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch

from pipeline.bundle.unpack import load_weights as module
from pipeline.bundle.unpack.load_weights import Content, load_weights
from pipeline.data.errors import InputError


class Payload:
    """Makes a file when it is unpickled."""

    def __init__(self, marker):
        self.marker = marker

    def __reduce__(self):
        return Path.touch, (self.marker,)


def answer(monkeypatch, status, output, said=""):
    """Let the process of its own end like this."""
    done = subprocess.CompletedProcess([], status, output, said)
    monkeypatch.setattr(module.subprocess, "run", lambda *_, **__: done)
    monkeypatch.delitem(sys.modules, "torch")
    monkeypatch.setattr(module, "address_space", lambda: None)


@pytest.fixture
def files(tmp_path):
    torch.save({"a": torch.ones(2, 3)}, tmp_path / "good.pt")
    torch.save(Payload(tmp_path / "marker"), tmp_path / "bad.pt")
    return [tmp_path / "good.pt", tmp_path / "bad.pt"]


@pytest.mark.slow
def test_both_ways_give_the_same(files, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[3]))
    here = load_weights(files)
    assert here[0] == Content("1 tensors, 6 numbers (float32); nothing else", loaded=True)
    assert "a pickle that calls" in here[1].problem
    assert list(module._load_apart(files)) == here
    assert not (files[0].parent / "marker").exists()


@pytest.mark.parametrize(
    ("status", "output", "said", "words"),
    [
        (1, "", "Traceback\nMemoryError", r"loading PyTorch: found too little memory \(MemoryError\)"),
        (-6, "", "terminate called\n  what():  std::bad_alloc", "loading PyTorch: found too little memory .*bad_alloc"),
        (-9, "", "", "loading PyTorch: found too little memory"),
        (1, "", "ModuleNotFoundError: no torch", "a process that ends .ModuleNotFoundError: no torch.*make the env"),
        (0, 'ready\n"MemoryError: 9 GB"\n', "", r"loading good.pt: found too little memory \(MemoryError: 9 GB\)"),
        (-9, 'ready\n["weights", "", true]\n', "", "loading bad.pt: found too little memory"),
    ],
)
def test_too_little_memory_is_one_message(files, monkeypatch, status, output, said, words):
    answer(monkeypatch, status, output, said)
    with pytest.raises(InputError, match=words):
        load_weights(files)


def test_a_file_that_ends_the_process_is_refused(files, monkeypatch):
    answer(monkeypatch, -11, 'ready\n["weights", "", true]\n')
    found = load_weights(files)
    assert found == [Content("weights", loaded=True), Content("not loaded", "ended PyTorch's process (status -11)")]


def test_without_weights_nothing_starts(monkeypatch):
    monkeypatch.delattr(module.subprocess, "run")
    assert load_weights([]) == []


@pytest.mark.parametrize(
    ("tensor", "problem"),
    [
        (torch.tensor([1.0, torch.nan]), module.NOT_FINITE),
        (torch.tensor([1.0, torch.nan], dtype=torch.bfloat16), module.NOT_FINITE),
        (torch.tensor([complex(1, torch.nan)]), module.NOT_FINITE),
        (torch.tensor([1.0, torch.inf]), ""),
        (torch.ones(2).to(torch.float8_e4m3fn), ""),
        (torch.ones(2, device="meta"), ""),
        (torch.ones(2).to_sparse(), ""),
        (torch.ones(1).expand(1 << 40), module._FAR_MORE),
    ],
    ids=["nan", "bfloat16", "complex", "infinity", "8 bits", "meta", "sparse", "strides of 0"],
)
def test_tensors_of_any_kind_are_looked_at(tensor, problem, tmp_path):
    torch.save({"a": tensor}, tmp_path / "model.pt")
    [found] = load_weights([tmp_path / "model.pt"])
    assert (found.loaded, found.problem) == (True, problem)
