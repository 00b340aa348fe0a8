"""The mean absolute change of each layer per epoch, against changes that the test makes."""

import csv

import pytest
import torch
from ignite.engine import Engine
from torch import nn

from pipeline.training import WeightChanges


def make_network():
    return nn.Sequential(nn.Conv3d(1, 2, 3), nn.InstanceNorm3d(2, affine=True), nn.Conv3d(2, 1, 1))


def run(folder, network, changes, *, first=0, epochs=None):
    """Run epochs of one step each, which adds to the kernel of each layer; epochs are numbered from 1."""

    def step(engine, _):
        with torch.no_grad():
            for layer, amount in changes[engine.state.epoch - 1].items():
                network[layer].weight += amount
                network[layer].bias += 100.0

    engine = Engine(step)
    engine.state.rank = 0
    WeightChanges(folder, network).attach(engine)
    state = {"epoch": first, "max_epochs": epochs or len(changes), "epoch_length": 1}
    if first:
        engine.load_state_dict(state)
    engine.run([0], max_epochs=epochs or len(changes))


def read(folder):
    with (folder / "weight_changes.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def test_kernels_by_layer_and_epoch_without_biases_and_norms(tmp_path):
    half = torch.zeros(2, 1, 3, 3, 3)
    half[0] = -0.25  # one of two output channels: a mean of 0.125
    run(tmp_path, make_network(), [{0: half, 2: 0.0}, {0: 0.5, 2: -2.0}])
    rows = read(tmp_path)
    assert list(rows[0]) == ["epoch", "0", "2"]
    assert [row["epoch"] for row in rows] == ["1", "2"]
    values = [[float(row["0"]), float(row["2"])] for row in rows]
    assert values == [[pytest.approx(0.125), 0.0], [pytest.approx(0.5), pytest.approx(2.0)]]


def test_a_resume_keeps_earlier_epochs_and_repeats_later_ones(tmp_path):
    network = make_network()
    changes = [{0: 1.0}, {0: 2.0}, {0: 3.0}]
    run(tmp_path, network, changes)
    run(tmp_path, network, [{}, {0: 5.0}, {0: 7.0}], first=1, epochs=3)
    assert [float(row["0"]) for row in read(tmp_path)] == pytest.approx([1.0, 5.0, 7.0], rel=1e-3)


def test_rows_of_another_network_are_not_taken(tmp_path):
    run(tmp_path, nn.Sequential(nn.Conv3d(1, 1, 1)), [{0: 1.0}])
    run(tmp_path, make_network(), [{}, {0: 5.0}], first=1, epochs=2)
    assert [row["epoch"] for row in read(tmp_path)] == ["2"]
