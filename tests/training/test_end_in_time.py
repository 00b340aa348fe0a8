"""Trainings with a clock that only the test moves: Ignite's engine, MONAI's evaluator, steps of known duration."""

import json
import random
from itertools import pairwise
from types import SimpleNamespace

import pytest
import torch
from ignite.engine import Engine, Events
from monai.data import DataLoader, Dataset
from monai.engines import SupervisedEvaluator
from monai.optimizers import WarmupCosineSchedule

from pipeline.data.errors import InputError
from pipeline.training import EndInTime, end_in_time, validation_part


class Clock:
    """A clock that only the test moves."""

    def __init__(self, speed):
        self.now = 100.0
        self.speed = speed
        self.working = True

    def monotonic(self):
        return self.now

    def work(self, seconds):
        if self.working:
            self.now += seconds / self.speed(self.now - 100)


class Slow(torch.nn.Module):
    """A network whose inference takes time."""

    def __init__(self, work):
        super().__init__()
        self.work = work

    def forward(self, x):
        self.work()
        return x


def step_schedule(_, optimizer, schedule):
    # PyTorch warns of a schedule whose optimiser has not made a step.
    optimizer.step()
    schedule.step()


@pytest.fixture
def train(monkeypatch):
    """Return a function that trains, and what it returns: times, validations and learning rates."""

    def run(
        minutes=10.0,
        *,
        step=1.0,
        steps=20,
        case=0.1,
        cases=6,
        epochs=None,
        interval=None,
        speed=lambda _: 1.0,
        first=1.0,
        used=0.0,
        handlers=(),
        after_validation=lambda _: None,
    ):
        clock = Clock(speed)
        monkeypatch.setattr(end_in_time, "time", clock)
        done = SimpleNamespace(validations=[], rates=[], steps=0, clock=clock)

        def train_step(engine, _):
            done.steps += 1
            done.rates.append(optimizer.param_groups[0]["lr"])
            clock.work(first if done.steps == 1 else step)

        seen = []
        network = Slow(lambda: (seen.append(1), clock.work(case)))
        images = Dataset([{"image": torch.zeros(1, 2), "label": torch.zeros(1, 2)}] * cases)
        validator = SupervisedEvaluator(
            device="cpu", val_data_loader=DataLoader(images, batch_size=1), network=network, decollate=False
        )
        validator.add_event_handler(Events.STARTED, seen.clear)
        validator.add_event_handler(
            Events.COMPLETED, lambda: done.validations.append((trainer.state.epoch, len(seen), clock.now - 100))
        )
        optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
        length = epochs or 1000
        schedule = WarmupCosineSchedule(
            optimizer, warmup_steps=round(0.045 * length), t_total=length, warmup_multiplier=0.1
        )
        validator.add_event_handler(Events.COMPLETED, after_validation)
        trainer = validator.trainer = Engine(train_step)
        handler = EndInTime(minutes, schedule, fill=epochs is None, validator=validator, interval=interval)
        handler.attach(trainer)
        trainer.add_event_handler(Events.STARTED, lambda: setattr(trainer.state, "seconds_before", used))
        for event, function in handlers:
            trainer.add_event_handler(event, function)
        trainer.add_event_handler(Events.EPOCH_COMPLETED, step_schedule, optimizer, schedule)
        trainer.run(list(range(steps)), max_epochs=epochs or 1)
        done.seconds = clock.now - 100
        done.share = done.seconds / 60 / minutes if minutes else None
        done.trainer, done.validator = trainer, validator
        return done

    return run


def jitter(seed=0, most=3.0):
    drawn = random.Random(seed)
    return lambda _: drawn.uniform(1 / most, most)


SPEEDS = {
    "steady": lambda _: 1.0,
    "three times as slow from the half on": lambda now: 1.0 if now < 300 else 1 / 3,
    "three times as fast from the half on": lambda now: 1.0 if now < 300 else 3.0,
    "three times as slow for a minute": lambda now: 1 / 3 if 200 < now < 260 else 1.0,
    "jittery": jitter(),
    "slower and slower": lambda now: 1 / (1 + now / 100),
    "slow at the very end": lambda now: 1.0 if now < 585 else 1 / 3,
    "fast at the very end": lambda now: 1.0 if now < 540 else 3.0,
}


@pytest.mark.slow
@pytest.mark.parametrize("name", SPEEDS)
@pytest.mark.parametrize(
    "machine",
    [
        {},
        {"step": 0.2, "steps": 12, "case": 0.3, "cases": 42},
        {"step": 1.0, "steps": 500},  # an epoch is most of the time
        {"step": 2.0, "steps": 10_000, "case": 3.0, "cases": 12},  # the time ends within the first epoch
        {"step": 6.0, "steps": 5},  # a step is 1 % of the time
        {"step": 0.5, "steps": 1, "case": 0.02},  # an epoch is a step
        {"first": 30.0},
    ],
)
def test_the_minutes_are_used_whatever_the_machine_does(name, machine, train):
    done = train(10, speed=SPEEDS[name], **machine)
    assert 0.95 <= done.share <= 1.03
    assert len(done.validations) >= 8
    epoch, cases, _ = done.validations[-1]
    assert epoch == done.trainer.state.epoch == done.trainer.state.max_epochs
    assert cases == machine.get("cases", 6) or name in ("slow at the very end", "slower and slower", "jittery")
    # The schedule ends with the time.
    assert done.rates[-1] < 0.03
    top = done.rates.index(max(done.rates))
    assert done.rates[top:] == sorted(done.rates[top:], reverse=True)
    assert done.rates[top] > 0.97


@pytest.mark.parametrize("step", [20.0, 30.0, 45.0])
def test_steps_that_are_long_against_the_time(step, train):
    done = train(10, step=step, first=step, steps=3)
    assert 0.92 <= done.share <= 1.03
    assert len(done.validations) >= 8


def test_validations_are_at_equal_distances_and_take_a_small_share(train):
    done = train(10, step=0.5, steps=40, case=1.0, cases=30)
    assert [cases for _, cases, _ in done.validations] == [6] * 9 + [30]
    assert 6 * 9 + 30 <= 0.15 * 600
    ends = [when for *_, when in done.validations]
    distances = [after - before for before, after in pairwise(ends[:-1])]
    # One that is due waits for the end of its epoch where that is 12 s away.
    assert max(distances) - min(distances) <= 2 * 12


def test_the_cases_in_between_are_always_the_same_ones(train, monkeypatch):
    taken = []
    take = validation_part.take_cases

    def record(loader, count):
        part = take(loader, count)
        taken.append(tuple(part.sampler))
        return part

    monkeypatch.setattr(validation_part, "take_cases", record)
    train(10, case=1.0, cases=30)
    assert set(taken) == {(0,), (0, 6, 12, 17, 23, 29)}


@pytest.mark.parametrize(("cases", "best"), [(3, 0.9), (30, -1)])
def test_the_weights_of_the_end_are_the_best_where_validations_had_fewer_cases(train, cases, best):
    def pretend(validator):
        if validator.trainer.state.epoch < 5:
            validator.state.best_metric, validator.state.best_metric_epoch = 0.9, 2

    done = train(10, case=1.0, cases=cases, after_validation=pretend)
    # There is no metric here, and so nothing better than the value from which the last validation starts.
    assert done.validator.state.best_metric == best


def test_epochs_that_fit_are_trained_with_the_rates_of_a_training_without_a_limit(train):
    free = train(None, epochs=4, steps=5)
    limited = train(60, epochs=4, steps=5, interval=2)
    assert limited.rates == free.rates
    assert (limited.steps, limited.trainer.state.epoch) == (20, 4)
    assert [epoch for epoch, *_ in limited.validations] == [2, 4]
    assert not limited.trainer.state.is_timed


def test_epochs_that_do_not_fit_end_with_the_time(train):
    done = train(10, epochs=1000, interval=5)
    assert 0.95 <= done.share <= 1.03
    assert done.rates[-1] < 0.03
    assert done.trainer.state.epoch < 1000
    epochs = [epoch for epoch, *_ in done.validations]
    assert all(epoch % 5 == 0 for epoch in epochs[:-1])
    assert epochs[-1] == done.trainer.state.epoch


def test_given_epochs_are_validated_evenly_without_an_interval(train):
    done = train(60, epochs=40, steps=5)
    assert done.steps == 200
    assert 8 <= len(done.validations) <= 18
    assert [cases for _, cases, _ in done.validations] == [6] * len(done.validations)


def test_a_slow_first_step_does_not_shorten_the_training_for_good(train):
    done = train(10, epochs=14, steps=2, step=10.0, first=200.0)
    assert done.steps == 28
    assert done.share < 1


def test_a_resumed_training_has_the_minutes_that_are_left(train):
    done = train(10, used=400.0)
    assert 0.95 * 600 <= 400 + done.seconds <= 1.03 * 600
    assert done.rates[0] == pytest.approx(0.25, abs=0.05)


def test_an_interrupted_training_is_resumed_with_what_is_left(make_training, monkeypatch, tmp_path):
    clock = Clock(lambda _: 1.0)
    monkeypatch.setattr(end_in_time, "time", clock)

    def start(**options):
        training = make_training(minutes=2, **options)
        training.trainer.add_event_handler(Events.ITERATION_STARTED, lambda: clock.work(1.0))
        training.validator.add_event_handler(Events.ITERATION_STARTED, lambda: clock.work(2.0))
        return training

    def interrupt(engine):
        if clock.now > 160:
            raise KeyboardInterrupt

    first = start()
    first.trainer.add_event_handler(Events.ITERATION_STARTED, interrupt)
    with pytest.raises(KeyboardInterrupt):
        first.trainer.run()
    saved = torch.load(tmp_path / "last.pt", weights_only=True)
    assert 50 < saved["seconds"] < 70
    # Two cases take 4 s, which the first case alone did not show.
    assert saved["val_cases"] == 1
    clock.now = 1000.0
    resumed = start(resume=True)
    resumed.trainer.run()
    used = saved["seconds"] + clock.now - 1000
    assert 0.95 * 120 <= used <= 1.03 * 120
    rows = (tmp_path / "history.csv").read_text().splitlines()
    assert len(rows) - 1 == resumed.trainer.state.epoch > saved["epoch"]
    assert rows[-1].endswith(",2")
    assert (tmp_path / "model.pt").is_file()
    assert resumed.validator.state.best_metric_epoch == resumed.trainer.state.epoch
    # Nothing is left for one more part.
    clock.now = 2000.0
    start(resume=True).trainer.run()
    assert clock.now == 2000
    assert json.loads((tmp_path / "training.json").read_text())["seconds"] == pytest.approx(used, abs=0.01)


@pytest.mark.parametrize("epochs", [None, 3])
def test_too_few_minutes_for_a_validation_are_one_message(train, epochs):
    with pytest.raises(InputError, match=r"minutes: found 0\.1 .* 6 cases .* at least 0\.13,"):
        train(0.1, epochs=epochs, case=1.0)


def test_a_resume_with_too_little_time_left_ends_and_is_not_refused(train):
    # 0.1 minutes, of which 5.4 s are used: neither a step nor all of the validation fits.
    done = train(0.1, case=1.0, used=5.4)
    assert done.steps == 1
    assert len(done.validations) == 1
    assert done.trainer.state.val_cases >= 1


def test_a_last_validation_that_becomes_slow_stops_with_a_message(train, caplog):
    done = train(10, case=1.0, cases=60, speed=lambda now: 1.0 if now < 540 else 0.1)
    assert done.share <= 1.03
    assert 0 < done.validations[-1][1] < 60
    assert f"the last validation has {done.validations[-1][1]} of 60 cases" in caplog.text
    assert done.trainer.state.val_cases == done.validations[-1][1]


def test_an_epoch_after_a_cut_one_begins_anew(train):
    order = []
    handlers = [(Events.ITERATION_STARTED, lambda engine: order.append((engine.state.epoch, engine.state.batch)))]
    train(10, steps=500, handlers=handlers)
    last = max(epoch for epoch, _ in order)
    assert last >= 8
    for epoch in range(1, last + 1):
        batches = [batch for each, batch in order if each == epoch]
        assert batches == list(range(len(batches)))


def test_a_validator_of_another_handler_gets_its_time(monkeypatch):
    # As configs of earlier versions have it: a ValidationHandler validates, two seconds every other epoch.
    clock = Clock(lambda _: 1.0)
    monkeypatch.setattr(end_in_time, "time", clock)
    engine = Engine(lambda *_: clock.work(1.0))
    engine.add_event_handler(Events.EPOCH_COMPLETED(every=2), lambda: clock.work(20.0))
    schedule = SimpleNamespace(t_total=50, warmup_steps=4)
    EndInTime(10, schedule).attach(engine)
    engine.run(list(range(10)), max_epochs=500)
    assert 0.9 * 600 <= clock.now - 100 <= 600
    assert engine.state.epoch == engine.state.max_epochs < 500


def test_no_minutes_change_nothing(train):
    done = train(None, epochs=3, steps=4)
    assert (done.steps, done.validations) == (12, [])
    assert not hasattr(done.trainer.state, "minutes")


@pytest.mark.parametrize("minutes", [0, -1])
def test_minutes_above_zero(minutes):
    with pytest.raises(ValueError, match="expected a number above 0, or None"):
        EndInTime(minutes, None)


def test_the_clock_of_the_processor_stands_still_while_others_work(monkeypatch):
    wall = Clock(lambda _: 1.0)
    processor = Clock(lambda _: 1.0)
    wall.process_time = processor.monotonic
    monkeypatch.setattr(end_in_time, "time", wall)

    def step(*_):
        processor.work(1.0)
        wall.work(3.0)

    engine = Engine(step)
    EndInTime(2, None, fill=True, clock="processor").attach(engine)
    engine.run(list(range(10)), max_epochs=1)
    assert 0.95 * 120 <= processor.now - 100 <= 1.03 * 120
    assert wall.now - 100 == 3 * (processor.now - 100)


def test_only_known_clocks():
    with pytest.raises(ValueError, match="clock is 'cpu'; expected one of wall, processor"):
        EndInTime(1, None, clock="cpu")
