import random

import ignite.distributed as idist
import numpy as np
import pytest
import torch
from ignite.engine import Engine, Events
from monai.data import DataLoader, Dataset
from monai.transforms import Compose, RandGaussianNoised, RandScaleIntensityd
from torch.utils.data import DistributedSampler

from pipeline.training import EpochSeed

NUMBER = "number"


def batches_of_epoch(epoch, *, seed=0, num_workers=0, before=0):
    """Return an epoch's random numbers, one row per sample, after drawing ``before`` other numbers."""
    cases = [{NUMBER: torch.full((1, 2), float(i))} for i in range(6)]
    noise = Compose([RandGaussianNoised(NUMBER, prob=0.5), RandScaleIntensityd(NUMBER, factors=0.1, prob=0.5)])
    loader = DataLoader(Dataset(cases, noise), batch_size=2, shuffle=True, num_workers=num_workers)
    for _ in range(before):
        random.random()
        np.random.rand()  # noqa: NPY002  the generator that MONAI's transforms fall back on
        torch.rand(1)
        noise(cases[0])
    drawn = []
    engine = Engine(lambda _, batch: drawn.append(batch[NUMBER].flatten(1)))
    engine.data_loader = loader
    EpochSeed(seed).attach(engine)

    def from_the_epoch_before(engine):
        engine.state.epoch, engine.state.iteration = epoch - 1, (epoch - 1) * len(loader)

    engine.add_event_handler(Events.STARTED, from_the_epoch_before)
    engine.run(loader, max_epochs=epoch)
    return torch.cat(drawn)


@pytest.mark.slow
@pytest.mark.parametrize("num_workers", [0, 2])
def test_an_epoch_draws_the_same_whatever_ran_before(num_workers):
    draw = batches_of_epoch(3, num_workers=num_workers)
    assert draw.shape == (6, 2)
    assert torch.equal(draw, batches_of_epoch(3, num_workers=num_workers, before=7))
    assert not torch.equal(draw, batches_of_epoch(4, num_workers=num_workers))


def test_every_epoch_and_seed_draws_something_else():
    draws = [batches_of_epoch(epoch, seed=seed) for epoch, seed in ((1, 0), (2, 0), (1, 1), (2, 1))]
    assert len({tuple(draw.flatten().tolist()) for draw in draws}) == 4
    orders = {tuple(draw.mean(1).round().tolist()) for draw in draws}
    assert len(orders) > 1


def test_every_generator_is_seeded():
    def draw():
        batches_of_epoch(2)
        return random.random(), np.random.rand(), torch.rand(1).item()  # noqa: NPY002

    assert draw() == draw()


def test_every_process_draws_something_else_and_the_first_what_one_alone_draws(monkeypatch):
    draws = []
    for rank in (0, 1, 2):
        monkeypatch.setattr(idist, "get_rank", lambda rank=rank: rank)
        draws.append(tuple(batches_of_epoch(1).flatten().tolist()))
    monkeypatch.undo()
    assert len(set(draws)) == 3
    assert draws[0] == tuple(batches_of_epoch(1).flatten().tolist())


def test_the_seed_of_a_training_in_one_process_stays_what_it_was():
    batches_of_epoch(3, seed=7)
    assert torch.initial_seed() == np.random.SeedSequence((7, 3)).generate_state(1)[0]


@pytest.mark.parametrize(
    ("epochs", "interval", "validated"),
    [(5, 2, [2, 4, 5]), (4, 2, [2, 4]), (3, 10, [3]), (3, 1, [1, 2, 3]), (1, 2, [1])],
)
def test_the_last_epoch_is_validated_once(make_training, tmp_path, epochs, interval, validated):
    training = make_training(epochs=epochs, interval=interval, validate_last=True)
    runs = []
    training.validator.add_event_handler("STARTED", lambda: runs.append(training.trainer.state.epoch))
    training.trainer.run()
    assert runs == validated
    assert (tmp_path / "model.pt").is_file()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("planned", "patience", "last_epoch"),
    [
        ([0.5, 0.4, 0.4, 0.4, 0.4, 0.4], 2, 3),
        ([0.1, 0.2, 0.3, 0.3, 0.2, 0.9], 2, 5),  # an equal value is no progress
        ([0.1, 0.2, 0.1, 0.3, 0.2, 0.1], 2, 6),
        ([0.5, 0.4, 0.4, 0.4, 0.4, 0.4], 5, 6),
        ([0.5, 0.4, 0.4, 0.4, 0.4, 0.4], 0, 6),
        ([0.1, 0.2, 0.3, 0.4, 0.5, 0.6], 1, 6),
    ],
)
def test_stops_at_the_best_epoch_plus_patience(make_training, planned, patience, last_epoch):
    training = make_training(epochs=6, planned=planned, patience=patience)
    training.trainer.run()
    assert training.trainer.state.epoch == last_epoch


def test_does_not_stop_before_the_first_validation(make_training):
    training = make_training(epochs=4, planned=[0, 0, 0, 0.5], interval=4, patience=1)
    training.trainer.run()
    assert training.trainer.state.epoch == 4


def test_does_not_stop_between_two_validations(make_training):
    training = make_training(epochs=6, planned=[0, 0.1, 0, 0.2, 0, 0.3], interval=2, patience=1)
    training.trainer.run()
    assert training.trainer.state.epoch == 6


def test_patience_goes_on_over_a_resume(make_training):
    planned = [0.5, 0.4, 0.4, 0.4, 0.4, 0.4]
    first = make_training(epochs=6, planned=planned, patience=3)
    first.trainer.add_event_handler(
        "EPOCH_COMPLETED", lambda engine: engine.terminate() if engine.state.epoch == 2 else 0
    )
    first.trainer.run()
    resumed = make_training(epochs=6, planned=planned, patience=3, resume=True)
    resumed.trainer.run()
    assert resumed.trainer.state.epoch == 4


@pytest.mark.parametrize("longer", ["stretch", "restart"])
def test_patience_begins_anew_where_a_training_is_lengthened(make_training, longer):
    planned = [0.5, *[0.4] * 9]
    make_training(epochs=6, planned=planned, patience=2).trainer.run()
    resumed = make_training(epochs=10, planned=planned, patience=2, resume=True, longer=longer)
    resumed.trainer.run()
    # It had stopped early after epoch 3.
    assert resumed.trainer.state.epoch == 5
    # The start of the patience is known to a further resume too.
    again = make_training(epochs=10, planned=planned, patience=4, resume=True)
    again.trainer.run()
    assert again.trainer.state.epoch == 7


def test_what_seeds_itself_is_told_the_epoch():
    calls = []
    sampler = DistributedSampler(range(4), num_replicas=1, rank=0)
    sampler.set_epoch = lambda epoch: calls.append(("sampler", epoch))
    cases = Dataset([{NUMBER: torch.zeros(1)}] * 4)
    cases.set_epoch = lambda epoch: calls.append(("dataset", epoch))
    engine = Engine(lambda *_: None)
    engine.data_loader = DataLoader(cases, batch_size=2, sampler=sampler)
    EpochSeed(0).attach(engine)
    engine.run(engine.data_loader, max_epochs=2)
    assert calls == [("dataset", 1), ("sampler", 1), ("dataset", 2), ("sampler", 2)]
