import json

import pytest


@pytest.mark.slow
def test_skips(run_script, tmp_path):
    output = tmp_path / "skips.json"
    done = run_script("skips", "--quick", "--no-monai", "--skip", '["sat", {"maps": 2}]', "-o", str(output))
    assert done.returncode == 0, done.stderr
    results = json.loads(output.read_text())
    arms = results["arms"]
    assert list(arms) == ["concat", "sat maps=2", "concat, merged"]
    for base in ("concat", "concat, merged"):
        for phase in ("train", "infer"):
            own = arms[base][phase]["ratios"][base]
            assert (own["seconds"]["median"], own["live"]) == (1, 1)
            peaks = [arms[name][phase]["memory"]["live"] for name in ("sat maps=2", base)]
            assert arms["sat maps=2"][phase]["ratios"][base]["live"] == pytest.approx(peaks[0] / peaks[1])
    assert all(name in done.stdout for name in arms)


def test_an_unknown_skip_is_told_without_a_traceback(run_script, tmp_path):
    done = run_script("skips", "--quick", "--skip", "satt", "-o", str(tmp_path / "skips.json"))
    assert done.returncode == 2
    assert "did you mean 'sat'?" in done.stdout
    assert "Traceback" not in done.stderr
