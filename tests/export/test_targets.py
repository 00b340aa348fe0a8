from __future__ import annotations

from pipeline.export.targets import list_targets, retarget

CONFIG = {
    "network_def": {"_target_": "pipeline.networks.VNet", "skip": "@skip"},
    "optimizer": {
        "_target_": "pipeline.training.Muon",
        "params": {"_target_": "pipeline.training.parameter_groups", "network": "@network"},
    },
    "transforms": [
        {"_target_": "pipeline.data.reader.LoadScand", "keys": "image"},
        {"_target_": "Spacingd", "note": "pipeline.networks"},
        [{"_target_": "pipeline.networks.vnet.VNet"}],
    ],
    "loss": {"_target_": "monai.losses.DiceLoss"},
}
NAMES = {
    "pipeline.networks.vnet": "phantom_1.networks.vnet",
    "pipeline.training.muon": "phantom_1.training.muon",
    "pipeline.training.parameters": "phantom_1.training.parameters",
}


def test_targets_are_led_to_the_modules_that_define_them():
    assert set(list_targets(CONFIG)) == {
        ("pipeline.networks.vnet", "VNet"),
        ("pipeline.training.muon", "Muon"),
        ("pipeline.training.parameters", "parameter_groups"),
    }
    assert list(list_targets({"a": [1, None, "pipeline.networks.VNet"]})) == []


def test_parts_of_ours_get_the_bundles_names_and_wait_for_the_path_to_them():
    before = repr(CONFIG)
    new = retarget(CONFIG, NAMES)
    assert repr(CONFIG) == before
    assert new["network_def"] == {"_target_": "phantom_1.networks.vnet.VNet", "_requires_": "@scripts", "skip": "@skip"}
    assert new["optimizer"]["params"]["_target_"] == "phantom_1.training.parameters.parameter_groups"
    assert new["optimizer"]["params"]["_requires_"] == "@scripts"
    assert new["transforms"][2][0]["_target_"] == "phantom_1.networks.vnet.VNet"


def test_monais_own_parts_stay_or_stand_in():
    new = retarget(CONFIG, NAMES)
    assert new["transforms"][0] == {"_target_": "LoadImaged", "keys": "image"}
    assert new["transforms"][1] == CONFIG["transforms"][1]
    assert new["loss"] == CONFIG["loss"]
