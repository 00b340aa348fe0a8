import re

import pytest

from pipeline.data.errors import InputError
from pipeline.networks import Networks, Skip
from pipeline.nnunet.choice import Choice, find_skip, read_trainer_name


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("LightSkipTrainer", Choice()),
        ("LightSkipTrainer_vnet", Choice("vnet")),
        ("LightSkipTrainer_vnet_sat4", Choice("vnet", "sat4")),
        ("LightSkipTrainer_vnet_sat_hard", Choice("vnet", "sat_hard")),
        ("LightSkipTrainer_vnet_sum_250epochs", Choice("vnet", "sum", 250)),
        ("LightSkipTrainer_vnet_1epoch", Choice("vnet", None, 1)),
        ("LightSkipTrainer_5epochs", Choice(None, None, 5)),
    ],
)
def test_a_name_says_network_skip_and_epochs(name: str, expected: Choice) -> None:
    assert read_trainer_name(name) == expected


def test_every_registered_network_and_skip_can_be_named() -> None:
    for network in (name.lower() for name in Networks.names):
        for skip in (name.lower() for name in Skip.names):
            assert read_trainer_name(f"LightSkipTrainer_{network}_{skip}") == Choice(network, skip)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("LightSkipTrainer_vnett_sat", "the network vnett.*did you mean vnet?"),
        ("LightSkipTrainer_vnet_sat44", "the skip connection sat44.*did you mean sat4?"),
        # nnU-Net takes two underscores for the end of the trainer's name.
        ("LightSkipTrainer__vnet_sat", "another form.*LightSkipTrainer_unet_sat4"),
        ("LightSkipTrainer_vnet__sat", "another form"),
        ("LightSkipTrainerVnet", "another form"),
        ("LightSkipTrainer_vnet_0epochs", "the skip connection 0epochs"),
    ],
)
def test_a_wrong_name_is_refused_with_the_nearest(name: str, message: str) -> None:
    with pytest.raises(InputError, match=f"trainer {name}") as error:
        read_trainer_name(name)
    assert re.search(message, str(error.value), flags=re.DOTALL)


def test_a_skip_is_that_of_its_file_with_its_sparsity() -> None:
    # configs/skips/sat4.yaml
    assert find_skip("sat4", "here") == (["sat", {"maps": 4, "gate": "linear", "merge": "sum"}], 1e-4)


def test_a_skip_without_a_file_is_the_registered_one(monkeypatch: pytest.MonkeyPatch, tmp_path) -> None:
    monkeypatch.setattr("pipeline.nnunet.choice.recipes_folder", lambda: tmp_path)
    assert find_skip("concat", "here") == ("concat", 0.0)
