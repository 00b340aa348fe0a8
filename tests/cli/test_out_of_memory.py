"""Memory that runs out ends in one message, whoever says it and in whatever words."""

import argparse
import errno

import pytest

from pipeline import memory_errors
from pipeline.cli import main, out_of_memory
from pipeline.cli.out_of_memory import run_within_memory
from pipeline.data.errors import InputError
from pipeline.memory_errors import describe_shortage, find_memory_error, mentions_memory


def chained(inner):
    outer = RuntimeError("cannot instantiate the config's trainer")
    outer.__cause__ = inner
    return outer


ERRORS = {
    "python": MemoryError(),
    "numpy": MemoryError("Unable to allocate 8.00 TiB for an array with shape (1099511627776,)"),
    "torch": RuntimeError("[enforce fail at alloc_cpu.cpp:124] DefaultCPUAllocator: can't allocate memory: 400 bytes"),
    "cuda": RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB"),
    "c++": RuntimeError("std::bad_alloc"),
    "system": OSError(errno.ENOMEM, "Cannot allocate memory"),
    "library": ImportError("libtorch_cpu.so: failed to map segment from shared object"),
    "wrapped": chained(RuntimeError("out of memory")),
}
OTHERS = {
    "another": RuntimeError("mat1 and mat2 shapes cannot be multiplied"),
    "disk": OSError(errno.ENOSPC, "No space left on device"),
    "module": ImportError("cannot import name a"),
    "explained": chained(InputError("a", found="out of memory", expected="b", remedy="c")),
}


def options(error, verb="train"):
    def run(_):
        raise error

    return argparse.Namespace(verb=verb, run=run)


@pytest.mark.parametrize("name", ERRORS)
def test_one_message_says_what_to_set(name, capsys):
    assert run_within_memory(options(ERRORS[name])) == 2
    message = capsys.readouterr().err
    assert message.startswith("error: lightskip train: found too little memory (")
    assert "--batch" in message
    assert "ulimit -v" in message
    assert len(message.splitlines()) == 1


@pytest.mark.parametrize("name", OTHERS)
def test_other_errors_pass(name):
    with pytest.raises(type(OTHERS[name])):
        run_within_memory(options(OTHERS[name]))
    assert find_memory_error(OTHERS[name]) is None


def test_a_verb_without_options_for_memory_says_what_to_free(capsys):
    assert run_within_memory(options(MemoryError(), "render")) == 2
    assert "What to do: close other programs" in capsys.readouterr().err


def test_a_limit_in_which_nothing_starts_is_said_at_once(monkeypatch, capsys, tmp_path):
    monkeypatch.setattr(out_of_memory, "address_space", lambda: 100 * 2**20)
    assert main(["render", str(tmp_path)]) == 2
    assert "a limit of 100 MiB" in capsys.readouterr().err
    monkeypatch.setattr(out_of_memory, "address_space", lambda: 2**30 - 1)
    assert run_within_memory(options(None, "predict")) == 2


def test_a_verb_returns_its_status():
    assert run_within_memory(argparse.Namespace(verb="check", run=lambda _: 1)) == 1


def test_the_last_words_of_a_library_are_kept_and_long_ones_are_cut():
    assert describe_shortage("Traceback\n  File x\nMemoryError: 8 GiB\n") == "too little memory (MemoryError: 8 GiB)"
    assert describe_shortage("\n") == "too little memory"
    assert len(describe_shortage("x" * 999)) < 200


def test_the_limit_is_that_of_the_process(monkeypatch):
    resource = pytest.importorskip("resource")
    monkeypatch.setattr(resource, "getrlimit", lambda _: (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    assert memory_errors.address_space() is None
    monkeypatch.setattr(resource, "getrlimit", lambda _: (2**30, resource.RLIM_INFINITY))
    assert memory_errors.address_space() == 2**30


def test_words():
    assert mentions_memory("terminate called after throwing an instance of 'std::bad_alloc'")
    assert not mentions_memory("No such file or directory")
