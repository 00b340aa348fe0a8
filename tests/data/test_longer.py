"""The arithmetic of another length, against MONAI's schedule and by hand."""

import pytest
import torch
from monai.optimizers import WarmupCosineSchedule

from pipeline.data.longer import Length, Reached, share_done, warmup_cosine


@pytest.mark.parametrize(("total", "warmup"), [(10, 0), (20, 2), (1000, 45), (1, 1), (3, 9)])
def test_the_cosine_is_monais(total: int, warmup: int) -> None:
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    theirs = WarmupCosineSchedule(optimizer, warmup_steps=warmup, t_total=total, warmup_multiplier=0.1)
    for step in range(total + 1):
        assert warmup_cosine(step, total, warmup, 0.1) == pytest.approx(theirs.lr_lambda(step))


def test_the_share_follows_whichever_is_ahead() -> None:
    reached = Reached(Length(10, None), 10)
    assert share_done(reached, Length(20, None)) == 0.5
    assert share_done(reached, Length(20, None), (10, 0.0)) == 0.0
    timed = Reached(Length(None, 10), 7, seconds=297.0)
    # A training aims to use 99 % of its minutes.
    assert share_done(timed, Length(None, 10)) == pytest.approx(0.5)
    assert share_done(timed, Length(8, 10)) == pytest.approx(7 / 8)
    assert share_done(timed, Length(None, 10), (7, 297.0)) == 0.0


def test_what_is_recorded_is_read_again() -> None:
    first = Reached(Length(None, 12.5), 7, 700.5, 0.00123)
    change = first.change(Length(None, 20.0), "restart", 0.003)
    reached = Reached(Length(None, 20.0), 9, 800.0, 0.003, (change,))
    assert Reached.read({"epoch": 9, **reached.record()}) == reached
    assert reached.restarted == (7, 700.5)
    assert Reached.read({"epoch": 3}) is None


@pytest.mark.parametrize(
    ("length", "text", "words"),
    [
        (Length(1, None), "1 epoch", "--epochs 1"),
        (Length(None, 12.0), "12 minutes", "--minutes 12"),
        (Length(60, 0.5), "60 epochs or 0.5 minutes", "--epochs 60 --minutes 0.5"),
    ],
)
def test_words(length: Length, text: str, words: str) -> None:
    assert (str(length), length.words) == (text, words)
