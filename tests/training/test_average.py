import pytest
import torch
from ignite.engine import Engine
from torch import nn

from pipeline.training import AverageWeights


def average_of(values, momentum, *, first=1):
    """Return the average of a network whose only weight has these values after steps ``first``, ``first + 1``, ..."""
    network = nn.Linear(1, 1, bias=False)
    nn.init.constant_(network.weight, 100.0)
    handler = AverageWeights(network, momentum)

    def step(engine, value):
        nn.init.constant_(network.weight, value)

    engine = Engine(step)
    handler.attach(engine)
    engine.state.iteration = first - 1
    for value in values:
        engine.state.iteration += 1
        step(engine, value)
        handler(engine)
    return handler.average.weight.item()


def test_the_first_step_counts_whole_and_random_weights_do_not():
    assert average_of([3.0], 0.01) == 3.0
    # Step 2 counts with 10 / 11.
    assert average_of([3.0, 14.0], 0.01) == pytest.approx(3 + 11 * 10 / 11)


def test_later_steps_count_with_the_momentum():
    expected = 100.0
    for value in (1.0, 5.0):
        expected += 0.1 * (value - expected)
    assert average_of([1.0, 5.0], 0.1, first=5000) == pytest.approx(expected)


def test_buffers_are_the_last_and_the_average_is_a_network_in_evaluation():
    network = nn.Sequential(nn.Conv2d(1, 2, 1), nn.BatchNorm2d(2))
    handler = AverageWeights(network, 0.5)
    engine = Engine(lambda *_: network(torch.randn(4, 1, 3, 3)))
    handler.attach(engine)
    engine.run([0, 1, 2])
    assert torch.equal(handler.average[1].running_mean, network[1].running_mean)
    assert not handler.average.training
    assert network.training
    assert not any(parameter.requires_grad for parameter in handler.average.parameters())
    assert all(parameter.requires_grad for parameter in network.parameters())


@pytest.mark.parametrize("momentum", [0, -0.1, 1.1])
def test_momentum_out_of_range(momentum):
    with pytest.raises(ValueError, match="above 0 and at most 1"):
        AverageWeights(nn.Linear(1, 1), momentum)


def test_a_second_run_of_the_same_trainer_averages_anew():
    network = nn.Linear(1, 1, bias=False)
    handler = AverageWeights(network, 0.01)
    engine = Engine(lambda *_: None)
    handler.attach(engine)
    nn.init.constant_(network.weight, 1.0)
    engine.run(range(500), max_epochs=1)
    nn.init.constant_(network.weight, 2.0)  # as from a server
    engine.run([0], max_epochs=2)
    assert handler.average.weight.item() == 2.0
