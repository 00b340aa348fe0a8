"""A training's state in another form is refused in one message, before anything is taken from it."""

from pathlib import Path

import pytest
import torch

from pipeline.data.errors import InputError
from pipeline.training.state_form import check_form, check_optimizer


def make_state():
    network = torch.nn.Linear(3, 2)
    optimizer = torch.optim.AdamW(network.parameters())
    network(torch.ones(1, 3)).sum().backward()
    optimizer.step()
    state = {
        "network": network.state_dict(),
        "optimizer": optimizer.state_dict(),
        "lr_scheduler": {"last_epoch": 3},
        "epoch": 3,
        "iteration": 3,
        "best_metric": 0.5,
        "best_epoch": -1,
        "length": {"epochs": 5, "minutes": None},
        "identity": None,
    }
    return state, optimizer


def check(state, optimizer):
    check_form(Path("last.pt"), state)
    check_optimizer(Path("last.pt"), state, optimizer)


def test_a_state_in_its_form_passes():
    check(*make_state())


@pytest.mark.parametrize(
    ("key", "value", "found"),
    [
        ("network", [1], r"network \(list\); expected a dict"),
        ("optimizer", {"state": {}}, r"optimizer \(dict\); expected the state of an optimiser"),
        ("optimizer", {"state": [1], "param_groups": []}, r"optimizer \(dict\)"),
        ("lr_scheduler", 3, "lr_scheduler 3; expected the state of a schedule"),
        ("lr_scheduler", {"last_epoch": 10**12}, r"lr_scheduler \(dict\)"),
        ("epoch", "1", r"epoch \(str\); expected a whole number"),
        ("epoch", True, "epoch True; expected a whole number"),
        ("epoch", -5, "epoch -5"),
        ("iteration", None, "iteration None"),
        ("best_metric", float("nan"), "best_metric nan; expected a finite number"),
        ("best_epoch", 1.5, r"best_epoch 1\.5; expected an epoch, or -1"),
        ("length", {"epochs": "x", "minutes": None}, r"length \(dict\); expected numbers"),
        ("lengthened", [{"way": "restart"}], r"lengthened \(list\)"),
        ("identity", 3, "identity 3; expected a dict"),
        ("network_spec", "x", r"network_spec \(str\); expected a dict"),
        ("seconds", float("inf"), "seconds inf; expected a finite number"),
    ],
)
def test_an_entry_of_another_kind_is_named(key, value, found):
    state, optimizer = make_state()
    with pytest.raises(InputError, match=rf"^last\.pt: found {found}"):
        check({**state, key: value}, optimizer)


@pytest.mark.parametrize(
    ("value", "found"),
    [
        (torch.zeros(99), r"\(99,\) \(float32\)"),
        (torch.zeros(2, 3, dtype=torch.complex64), r"\(2, 3\) \(complex64\)"),
        ("x", r"\(str\)"),
    ],
    ids=["shape", "complex", "text"],
)
def test_a_moment_of_the_optimiser_that_does_not_fit_is_named(value, found):
    state, optimizer = make_state()
    state["optimizer"]["state"][0]["exp_avg"] = value
    with pytest.raises(InputError, match=rf"found exp_avg {found} of the optimiser's parameter 0; expected \(2, 3\)"):
        check(state, optimizer)


def test_a_setting_of_the_optimiser_that_is_no_number_is_named():
    state, optimizer = make_state()
    state["optimizer"]["param_groups"][0]["weight_decay"] = "x"
    with pytest.raises(InputError, match=r"found weight_decay \(str\) of the optimiser; expected a finite number"):
        check(state, optimizer)
