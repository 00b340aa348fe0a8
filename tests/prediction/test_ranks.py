"""Several processes: who does what, and that they wait for one another. `test_command.py` starts real ones."""

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import torch
from torch.distributed import HashStore

from pipeline.data.errors import InputError
from pipeline.prediction import ranks
from pipeline.prediction.ranks import Ranks

Make = Callable[[int, int], Ranks]


@pytest.fixture
def make(monkeypatch: pytest.MonkeyPatch) -> Make:
    """Gives a process's view, by its number and how many there are; all meet in one store."""
    store = HashStore()
    monkeypatch.setattr(ranks, "rendezvous", lambda *_, **__: iter([(store,)]))
    monkeypatch.setattr(ranks, "_PAUSE", 0.001)

    def one(rank: int, count: int) -> Ranks:
        environment = {"RANK": rank, "WORLD_SIZE": count, "LOCAL_RANK": rank % 2}
        for key, value in environment.items():
            monkeypatch.setenv(key, str(value))
        return Ranks()

    return one


def test_one_process_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    for key in ("RANK", "WORLD_SIZE", "LOCAL_RANK"):
        monkeypatch.delenv(key, raising=False)
    alone = Ranks()
    assert (alone.rank, alone.count, alone.first) == (0, 1, True)
    assert alone.share([1, 2, 3]) == [1, 2, 3]
    assert alone.gather("mine") == ["mine"]
    alone.leave()


@pytest.mark.parametrize("count", [2, 3, 5])
def test_every_item_has_one_process(count: int, make: Make) -> None:
    items = list("abcdefg")
    shares = [make(rank, count).share(items) for rank in range(count)]
    assert sorted(item for share in shares for item in share) == items
    assert max(map(len, shares)) - min(map(len, shares)) <= 1


def test_all_get_what_all_give(make: Make) -> None:
    members = [make(rank, 3) for rank in range(3)]
    with ThreadPoolExecutor(3) as workers:
        given = [workers.submit(member.gather, {"rank": member.rank, "text": "é" * 9}) for member in members]
        results = [future.result(timeout=300) for future in given]
    assert results == [[{"rank": rank, "text": "é" * 9} for rank in range(3)]] * 3
    assert [member.first for member in members] == [True, False, False]


def test_all_others_receive_what_the_first_publishes(make: Make) -> None:
    members = [make(rank, 3) for rank in range(3)]
    with ThreadPoolExecutor(2) as workers:
        waiting = [workers.submit(member.receive, "runtime") for member in members[1:]]
        members[2].publish("runtime", "of the last")
        members[0].publish("other", "another")
        members[0].publish("runtime", "of the first")
        assert [future.result(timeout=300) for future in waiting] == ["of the first"] * 2


def test_one_process_alone_publishes_to_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    Ranks().publish("runtime", "pytorch")
    with pytest.raises(ValueError, match="alone"):
        Ranks().receive("runtime")


def test_nobody_goes_before_the_first_has_written(make: Make) -> None:
    first, second = make(0, 2), make(1, 2)
    gone = threading.Event()

    def leave(member: Ranks) -> None:
        member.leave()
        gone.set()

    with ThreadPoolExecutor(2) as workers:
        waiting = workers.submit(leave, second)
        assert not gone.wait(0.05)
        workers.submit(first.leave).result(timeout=300)
        waiting.result(timeout=300)


def test_waiting_can_be_interrupted(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(_: float) -> None:
        raise KeyboardInterrupt

    member = make(0, 2)
    monkeypatch.setattr(time, "sleep", interrupt)
    with pytest.raises(KeyboardInterrupt):
        member.gather("mine")


def test_a_second_start_by_torchrun_does_not_see_the_first(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    for start in ("0", "1"):
        monkeypatch.setenv("TORCHELASTIC_RESTART_COUNT", start)
        members = [make(rank, 2) for rank in range(2)]
        with ThreadPoolExecutor(2) as workers:
            futures = [workers.submit(member.gather, start) for member in members]
            assert [future.result(timeout=300) for future in futures] == [[start, start]] * 2


def test_an_environment_of_several_without_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    # As a shell may still have it.
    monkeypatch.setenv("WORLD_SIZE", "2")
    for key in ("RANK", "MASTER_ADDR", "MASTER_PORT"):
        monkeypatch.delenv(key, raising=False)
    with pytest.raises(InputError, match="WORLD_SIZE") as raised:
        Ranks()
    assert "torchrun" in raised.value.remedy


@pytest.mark.parametrize(
    ("count", "asked", "given"),
    [(1, "auto", "auto"), (4, "auto", "cuda:1"), (4, "cuda", "cuda:1"), (4, "cpu", "cpu"), (4, "cuda:0", "cuda:0")],
)
def test_each_takes_a_gpu_of_its_own(
    count: int, asked: str, given: str, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    member: Any = make(min(3, count - 1), count)
    assert member.device(asked) == given


def test_without_gpus_all_choose_for_themselves(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert make(1, 2).device("auto") == "auto"
