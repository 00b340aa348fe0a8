"""The hours of runs that are left, by hand."""

from dataclasses import replace

import pytest

from pipeline.data.errors import InputError
from pipeline.data.sample import make_sample
from pipeline.study import estimate as module
from pipeline.study.estimate import estimate_hours
from pipeline.study.expand import expand_study
from pipeline.study.schema import Budget

from .conftest import make_result


def test_minutes_are_taken_as_they_are(runs):
    timed = [replace(run, arm=replace(run.arm, budget=Budget(minutes=10.0))) for run in runs]
    found = estimate_hours(timed, {}, robustness=False)
    assert found.hours == pytest.approx(6 * (1.4 * 600 + 60) / 3600)
    assert found.source == "the minutes of the budget"


def test_runs_of_an_arm_that_is_done_count_as_it_took(runs):
    done = {run.id: make_result(run) for run in runs if run.seed == 0}  # 90 s each
    left = [run for run in runs if run.seed == 1]
    found = estimate_hours(left, done, robustness=True)
    assert found.hours == pytest.approx(3 * (1.4 * 2.5 * 90 + 60) / 3600)
    assert found.source == "3 runs from earlier runs of their arm"


@pytest.mark.slow
def test_others_by_a_step_and_the_number_of_steps(monkeypatch, study, tmp_path):
    monkeypatch.setattr(module, "time_step", lambda _: 0.5)
    dataset = make_sample(tmp_path / "data", cases=8, scans=1).parent
    runs = expand_study(study, {"synthetic_shapes": dataset})
    # 6 of 8 cases train (fold 0 of 4 has 2), in batches of 2, for 2 epochs.
    found = estimate_hours(runs, {}, robustness=False)
    assert found.hours == pytest.approx(6 * (1.4 * 2 * 3 * 0.5 + 60) / 3600)
    assert found.source == "3 arms from training steps timed on this machine"


@pytest.mark.slow
@pytest.mark.parametrize(
    "error", [RuntimeError("not enough memory:\n you tried"), MemoryError(), OverflowError("long")]
)
def test_a_step_that_cannot_be_computed_is_named(monkeypatch, study, tmp_path, error):
    def fail(_):
        raise error

    monkeypatch.setattr(module, "time_step", fail)
    dataset = make_sample(tmp_path / "data", cases=8, scans=1).parent
    runs = expand_study(study, {"synthetic_shapes": dataset})
    with pytest.raises(InputError, match=r"with concat on synthetic_shapes: found a training step .*make batch, patch"):
        estimate_hours(runs, {}, robustness=False)
