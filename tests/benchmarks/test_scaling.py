import json

import pytest
from arms import Arm
from scaling import exponent, step_points


def test_exponent_of_a_power():
    values = [1, 3, 10, 50]
    assert exponent(values, [0.2 * value**1.7 for value in values]) == pytest.approx(1.7)


def test_points_fit_their_networks(task):
    points = step_points([Arm("concat", "concat"), Arm("sat", "sat")], task, quick=False)
    assert len(points) == 2 * (4 + 3 + 3) + 2 * 2
    for point in points.values():
        divisor = 2 ** (point.task.levels - 1)
        assert all(size % divisor == 0 for size in point.task.patch)
    levels = [point.task.levels for point in points.values() if point.series == "levels"]
    assert levels == [2, 2, 3, 3, 4, 4]


@pytest.mark.long
def test_scaling(run_script, tmp_path):
    output = tmp_path / "scaling.json"
    done = run_script("scaling", "--quick", "--skip", "sum", "-o", str(output))
    assert done.returncode == 0, done.stderr
    results = json.loads(output.read_text())
    assert set(results["exponents"]["voxels"]) == {"concat", "sum", "MONAI DynUNet", "MONAI UNet"}
    for row in results["steps"].values():
        operations = 2 * row["multiply_adds"]["train"]
        assert row["train"]["gflops_per_second"] == pytest.approx(operations / row["train"]["seconds"]["median"] / 1e9)
