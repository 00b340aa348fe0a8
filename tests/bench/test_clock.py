import itertools

import pytest
import torch

from pipeline.bench import clock as module
from pipeline.bench.clock import PhaseClock


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> PhaseClock:
    """A clock that advances by a second each time it is read."""
    ticks = itertools.count()
    monkeypatch.setattr(module.time, "perf_counter", lambda: float(next(ticks)))
    return PhaseClock(torch.device("cpu"))


def test_every_second_belongs_to_one_phase(clock: PhaseClock) -> None:
    clock.switch("ignored before the first step")
    clock.start("data")
    clock.switch("forward")
    with clock.during("network"):
        clock.switch("inner")
    clock.switch("other")
    clock.start("data")
    clock.stop()
    clock.switch("ignored after the last step")
    # start 0, switch 1, into 2, switch 3, out of 4, switch 5, end 6; start 7, end 8.
    assert clock.steps == [{"data": 1, "forward": 2, "network": 1, "inner": 1, "other": 1}, {"data": 1}]
    assert clock.seconds() == [6, 1]
    assert clock.share("data", "forward") == pytest.approx(4 / 7)
    assert clock.share("never") == 0
    clock.clear()
    assert (clock.steps, clock.share("data")) == ([], 0)


def test_a_timed_function_gives_the_time_back_also_when_it_fails(clock: PhaseClock) -> None:
    clock.start("other")
    with pytest.raises(ZeroDivisionError):
        clock.time_calls(lambda number: 1 / number, "division")(0)
    assert clock.time_calls(lambda number: 1 / number, "division")(4) == 0.25
    clock.stop()
    assert clock.steps == [{"other": 3, "division": 2}]
