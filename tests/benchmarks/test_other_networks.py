import json

import pytest

SPEC = json.dumps({"name": "unet", "channels": [2, 4], "norm": None})
OTHER = 'torch.nn:Conv2d {"in_channels": 3, "out_channels": 11, "kernel_size": 1}'


def test_other_networks(run_script, tmp_path):
    output = tmp_path / "found.json"
    sizes = ("--size", "16", "16", "--minutes", "0")
    done = run_script("other_networks", "--spec", SPEC, "--other", OTHER, *sizes, "-o", str(output))
    assert done.returncode == 0, done.stdout + done.stderr
    networks = json.loads(output.read_text())["networks"]
    assert list(networks) == ["LightSkip", "torch.nn:Conv2d"]
    assert networks["torch.nn:Conv2d"]["parameters"] == 3 * 11 + 11
    for phase in ("train", "infer"):
        assert networks["LightSkip"][phase]["ratio"]["median"] == 1
        assert networks["LightSkip"][phase]["seconds"]["count"] == 3


@pytest.mark.parametrize(
    ("other", "message"),
    [
        ("nowhere:Net", "No module named 'nowhere'"),
        ("torch.nn", "an import path, a colon"),
        ("torch.nn:Conv2d {}", "an import path, a colon"),
        (OTHER.replace("11", "5"), "found an output of (1, 5, 16, 16); expected (1, 11, 16, 16)"),
    ],
)
def test_mistakes_are_reported_without_a_traceback(run_script, tmp_path, other, message):
    done = run_script(
        "other_networks", "--spec", SPEC, "--other", other, "--size", "16", "16", "-o", str(tmp_path / "o.json")
    )
    assert (done.returncode, "Traceback" in done.stderr) == (2, False)
    assert message in done.stdout
