import json

import pytest
from arms import Arm
from networks import count_bytes

SPEC = {"name": "unet", "channels": [4, 8, 16], "skip": "concat"}
VOXELS = 8 * 8 * 12


@pytest.mark.parametrize(
    ("skip", "kept", "transferred"),
    [
        # Channels at the two levels with a skip.
        ("concat", (4, 8), (4, 8)),
        ("sum", (4, 8), (4, 8)),
        ("none", (0, 0), (0, 0)),
        ("at", (1, 1), (1, 1)),
        ("scalar", (4, 8), (4, 8)),
        (["sat", {"maps": 2, "merge": "sum"}], (2, 2), (4, 8)),
        (["sat", {"only": 1}], (0, 1), (0, 1)),
    ],
)
def test_bytes_of_a_skip_are_channels_times_voxels(task, skip, kept, transferred):
    found = count_bytes(Arm("unet", spec={**SPEC, "skip": skip}), task)
    # The task has two patches; the coarser level has an eighth of the voxels.
    assert found["kept"] == [4 * kept[0] * VOXELS, 4 * kept[1] * VOXELS // 8]
    assert found["transferred"] == [4 * transferred[0] * VOXELS, 4 * transferred[1] * VOXELS // 8]


@pytest.mark.slow
def test_networks(run_script, tmp_path):
    output = tmp_path / "networks.json"
    small = {"name": "unet", "channels": [4, 8, 16], "convs_per_level": [1, 1, 1]}
    choice = ("--network", json.dumps(small), "--skip", "sat", "--skip", "sum")
    done = run_script("networks", "--quick", "--bundle", "bundles/em_membrane", *choice, "-o", str(output))
    assert done.returncode == 0, done.stdout + done.stderr
    results = json.loads(output.read_text())
    assert results["task"]["precision"] == "float32"
    arms = results["networks"][json.dumps(small)]["arms"]
    compared = {name: arm["compared_with"] for name, arm in arms.items()}
    assert compared == {
        "concat": "concat",
        "sat": "concat",
        "sum": "concat",
        "concat + recalibrate scse": "concat",
        "sum + recalibrate scse": "sum",
    }
    assert all(name in done.stdout for name in arms)
    assert arms["sat"]["spec"]["skip"] == ["sat", {"select": "soft"}]
    assert arms["concat + recalibrate scse"]["parameters"] > arms["concat"]["parameters"] > arms["sat"]["parameters"]
    for phase in ("train", "infer"):
        own = arms["concat"][phase]
        assert (own["ratios"]["seconds"]["median"], own["ratios"]["live"], own["mark"]) == (1, 1, None)
        recalibrated = arms["sum + recalibrate scse"][phase]
        peaks = [arm[phase]["memory"]["live"] for arm in (arms["sum + recalibrate scse"], arms["sum"])]
        assert recalibrated["ratios"]["live"] == pytest.approx(peaks[0] / peaks[1])
        light = arms["sat"][phase]
        assert light["mark"] == {"train": 0.85, "infer": 0.8}[phase]
        assert light["within_mark"] is (light["ratios"]["seconds"]["median"] <= light["mark"])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [(("--skip", "satt"), "sat"), (("--patch", "32", "32", "32"), "2 sizes"), (("--network", "unett"), "unet")],
)
def test_mistakes_are_reported_without_a_traceback(run_script, tmp_path, arguments, message):
    output = str(tmp_path / "networks.json")
    done = run_script("networks", "--quick", "--bundle", "bundles/em_membrane", *arguments, "-o", output)
    assert done.returncode == 2
    assert "error: " in done.stdout
    assert message in done.stdout
    assert "Traceback" not in done.stderr


def test_an_arm_of_a_spec_has_a_patch_that_fits_its_network(task):
    arm = Arm("residual_fcn", spec={"name": "residual_fcn", "channels": [4, 4, 4, 8, 8], "skip": "sum"})
    assert arm.patch(task) == (16, 16, 16)
