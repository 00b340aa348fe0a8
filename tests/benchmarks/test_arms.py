from argparse import Namespace
from dataclasses import replace

import pytest
import torch
from arms import MONAI_ARMS, Arm, parse_skip, read_task

from pipeline.data.errors import InputError


@pytest.mark.parametrize("name", [*MONAI_ARMS, "concat", "sat"])
def test_every_network_gives_the_classes_on_its_patch(task, name):
    arm = Arm(name) if name in MONAI_ARMS else Arm(name, name)
    patch = arm.patch(task)
    assert patch == ((16, 16, 16) if name == "MONAI VNet" else (8, 8, 12))
    with torch.no_grad():
        assert arm.build(task).eval()(torch.zeros(1, 1, *patch)).shape == (1, 3, *patch)


def test_multiply_adds_of_a_network_counted_by_hand(task):
    task = task.resized(levels=2, patch=(4, 4, 4), batch=1)
    fine, coarse, kernel = 4**3, 2**3, 3**3
    encoder = fine * kernel * 1 * 4 + coarse * 8 * 4 * 8 + 2 * coarse * kernel * 8 * 8
    # Each coarse voxel makes eight fine ones.
    decoder = coarse * 8 * 8 * 4
    head = fine * 4 * 3
    stage = fine * kernel * 4 * 4
    none, concat, total = (Arm(name, name).multiply_adds(task)[0] for name in ("none", "concat", "sum"))
    assert none == total == encoder + decoder + stage + head
    # Four more channels enter the stage's one convolution.
    assert concat == none + stage


def test_a_training_step_computes_about_three_times_as_much(task):
    forward, step = Arm("concat", "concat").multiply_adds(task)
    # The gradients of the input and of the weights cost as much as the convolution; the first one's input needs none.
    assert 2.5 * forward < step <= 3 * forward


def test_residual_can_be_given(task):
    merged, decoder = (Arm("concat", "concat", residual).parameters(task) for residual in ("merged", None))
    assert merged > decoder


def test_resized_networks(task):
    wider = task.resized(width=0.5)
    assert wider.network["channels"] == [2, 4, 8]
    deeper = task.resized(levels=5, patch=(16, 16, 16))
    assert deeper.network["channels"] == [4, 8, 16, 32, 64]
    assert deeper.network["convs_per_level"] == [1, 2, 2, 2, 2]
    assert deeper.network["decoder_convs_per_level"] == [1, 2, 2, 2]
    assert task.resized(levels=2).network["decoder_convs_per_level"] == [1]
    assert task.network["channels"] == [4, 8, 16]
    Arm("sat", "sat").parameters(deeper)


@pytest.mark.parametrize("name", [*MONAI_ARMS, "concat"])
def test_networks_for_thick_slices(task, name):
    thick = {**task.network, "kernel_size": [[3, 3, 1], 3, 3], "strides": [[2, 2, 1], 2]}
    task = replace(task, network=thick, patch=(7, 8, 5))
    arm = Arm(name) if name in MONAI_ARMS else Arm(name, name)
    patch = arm.patch(task)
    assert patch == ((16, 16, 16) if name == "MONAI VNet" else (8, 8, 6))
    with torch.no_grad():
        assert arm.build(task).eval()(torch.zeros(1, 1, *patch)).shape == (1, 3, *patch)


def test_resized_networks_for_thick_slices(task):
    thick = {**task.network, "kernel_size": [[3, 3, 1], 3, 3], "strides": [[2, 2, 1], 2]}
    task = replace(task, network=thick)
    deeper = task.resized(levels=5)
    assert deeper.network["strides"] == [[2, 2, 1], 2, 2, 2]
    assert deeper.network["kernel_size"] == [[3, 3, 1], *[[3, 3, 3]] * 4]
    assert (deeper.size_divisor, task.resized(levels=2).size_divisor) == ((16, 16, 8), (2, 2, 1))
    Arm("sat", "sat").parameters(deeper)


@pytest.mark.parametrize(
    ("text", "name", "skip"),
    [
        ("sum", "sum", "sum"),
        # A file of configs/skips.
        ("sat4", "sat4", ["sat", {"maps": 4, "gate": "linear", "merge": "sum"}]),
        ('["sat", {"maps": 4, "merge": "sum"}]', "sat maps=4 merge=sum", ["sat", {"maps": 4, "merge": "sum"}]),
        ('["none", ["sat", {"maps": 2}]]', "none, sat maps=2", ["none", ["sat", {"maps": 2}]]),
    ],
)
def test_skips_of_the_command_line(text, name, skip):
    assert parse_skip(text) == Arm(name, skip)


def test_broken_json_is_told():
    with pytest.raises(InputError, match="single quotes"):
        parse_skip('["sat", {maps: 4}]')


def test_task_is_the_plans():
    options = {"bundle": "bundles/hippocampus_mri", "device": "cpu", "precision": "float32", "threads": 1, "seed": 0}
    task = read_task(Namespace(**options))
    assert (task.in_channels, task.out_channels, task.batch) == (1, 3, 2)
    assert task.patch == (40, 56, 40)
    Arm("concat", "concat").parameters(task)
