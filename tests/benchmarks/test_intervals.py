import json

import numpy as np
import pytest
from intervals import SAMPLERS, measure_coverage, measure_equal_arms, measure_power, measure_trainings


def test_samplers_have_the_mean_that_they_say() -> None:
    rng = np.random.default_rng(0)
    for sampler, truth in SAMPLERS.values():
        assert sampler(rng, 40_000).mean() == pytest.approx(truth, abs=0.02)


@pytest.mark.slow
def test_shares_are_near_what_they_aim_at() -> None:
    rng = np.random.default_rng(0)
    found = measure_coverage(rng, *SAMPLERS["normal"], 30, 100)
    assert all(0.85 < share <= 1 for share in found.values())
    assert measure_coverage(rng, SAMPLERS["normal"][0], 5.0, 30, 10) == {"bca": 0, "percentile": 0}
    trained = measure_trainings(rng, 3, 0.5, 100)
    assert trained["subjects"] < trained["hierarchical"]
    equal = measure_equal_arms(rng, 2, 100)
    assert equal["p"] < equal["interval"]
    assert 0.6 < measure_power(rng, SAMPLERS["normal"][0], 30, 100) < 0.95


@pytest.mark.long
def test_quick(run_script, tmp_path) -> None:
    output = tmp_path / "intervals.json"
    done = run_script("intervals", "--quick", "-o", str(output))
    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads(output.read_text())
    assert found["coverage"].keys() == SAMPLERS.keys()
    assert found["seconds"] > 0
    assert str(tmp_path) not in output.read_text()
