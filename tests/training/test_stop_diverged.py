"""A loss that is not a number ends a training, says where, and leaves what there was."""

import json
import math
from types import SimpleNamespace

import pytest
import torch
from ignite.engine import Engine

from pipeline.data.errors import InputError
from pipeline.training import StopDiverged
from pipeline.training.stop_diverged import MAX_OVERFLOWS


def train(folder, losses, *, scaler=None, epochs=2):
    """Run an engine whose steps have these losses, over and over; return the number of steps that it did."""
    done = []

    def step(engine, loss):
        done.append(loss)
        return {"loss": torch.tensor(loss)}

    engine = Engine(step)
    engine.state.rank = 0
    engine.scaler = scaler
    StopDiverged(folder).attach(engine)
    try:
        engine.run(losses, max_epochs=epochs)
    finally:
        train.steps = len(done)
    return len(done)


@pytest.mark.parametrize("loss", [math.nan, math.inf, -math.inf])
def test_one_such_loss_ends_it_and_the_file_says_where(tmp_path, loss):
    with pytest.raises(InputError, match=r"diverged: the loss is -?(nan|inf) in epoch 1, step 3 of 4"):
        train(tmp_path, [0.5, 0.4, loss, 0.3])
    assert train.steps == 3
    content = json.loads((tmp_path / "diverged.json").read_text())
    assert (content["epoch"], content["step"], content["loss"]) == (1, 3, str(loss))


def test_finite_losses_change_nothing_and_an_earlier_file_goes(tmp_path):
    (tmp_path / "diverged.json").write_text("{}")
    assert train(tmp_path, [1e30, -1e30, 0.0]) == 6
    assert not list(tmp_path.iterdir())


def test_float16_may_overflow_now_and_then_but_not_all_the_time(tmp_path):
    scaler = SimpleNamespace()
    assert train(tmp_path, [math.inf] * (MAX_OVERFLOWS - 1) + [0.5], scaler=scaler) == 2 * MAX_OVERFLOWS
    with pytest.raises(InputError, match=f"epoch 1, step {MAX_OVERFLOWS} of"):
        train(tmp_path, [math.inf] * (MAX_OVERFLOWS + 5), scaler=scaler)
