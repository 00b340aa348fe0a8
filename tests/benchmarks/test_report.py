import json

import numpy as np
import pytest
from report import draw_case


def test_a_drawn_case_has_three_structures_and_sets_that_differ_from_the_reference():
    scan, maps = draw_case((24, 24, 24), np.random.default_rng(0))
    assert scan.shape == (24, 24, 24)
    for labels in maps:
        assert np.unique(labels).tolist() == [0, 1, 2, 3]
    reference, *sets = maps
    for labels in sets:
        share = (labels != reference).mean()
        assert 0 < share < 0.2
    same = draw_case((24, 24, 24), np.random.default_rng(0))
    assert np.array_equal(same[0], scan)


@pytest.mark.long
def test_report(run_script, tmp_path):
    output = tmp_path / "report.json"
    done = run_script("report", "--cases", "2", "--rounds", "1", "--sizes", "hippocampus", "-o", str(output))
    assert done.returncode == 0, done.stdout + done.stderr
    results = json.loads(output.read_text())
    [run] = results["runs"].values()
    assert run["page_mb"] > 0.05
    assert run["seconds"]["median"] > 0
    assert results["marks_met"] == {"seconds": True, "size": True}
    assert str(tmp_path) not in output.read_text()
