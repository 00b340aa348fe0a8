import pytest
import torch
from arms import Arm
from steps import Work, measure_peaks, time_rounds

SAT = Arm("sat", "sat")


@pytest.fixture(autouse=True)
def _memory_is_not_kept(monkeypatch):
    # It would last for all the tests that follow in this process.
    monkeypatch.setattr("steps.keep_memory", lambda: True)


def test_a_training_step_learns_and_an_inference_does_not(task):
    work = Work(SAT, task)
    before = [parameter.clone() for parameter in work.network.parameters()]
    work.infer()
    assert all(map(torch.equal, before, work.network.parameters()))
    work.train()
    assert not any(map(torch.equal, before, work.network.parameters()))


def test_what_is_held_is_weights_and_batch(task):
    work = Work(SAT, task)
    voxels = 2 * 8 * 8 * 12
    # The images are float32, the label maps int64.
    assert work.held_bytes == 4 * SAT.parameters(task) + (4 + 8) * voxels


def test_peaks_of_training_contain_gradients_and_the_optimisers_state(task):
    found = {phase: next(measure_peaks(SAT, task, phase)) for phase in ("train", "infer")}
    assert found["train"]["held"] == found["infer"]["held"]
    # Muon keeps a momentum for each weight of a kernel, and each has a gradient.
    assert found["train"]["live"] > found["infer"]["live"] + 1.9 * 4 * SAT.parameters(task)
    # The input stage alone holds its convolution's and its normalisation's result: four channels of float32 each.
    assert found["infer"]["live"] >= 2 * 4 * 4 * 2 * 8 * 8 * 12


def test_rounds_time_both_phases_of_every_arm(task):
    rounds = list(time_rounds({"a": (SAT, task), "b": (Arm("none", "none"), task)}, minutes=0, repeats=1))
    assert [set(one) for one in rounds] == [{"a", "b"}] * 3
    assert all(time > 0 for one in rounds for arm in one.values() for time in (arm["train"], arm["infer"]))


@pytest.mark.parametrize("phase", ["train", "infer"])
def test_live_peak_is_the_same_in_every_run(task, phase):
    first, second = (next(measure_peaks(SAT, task, phase))["live"] for _ in range(2))
    assert first == second
