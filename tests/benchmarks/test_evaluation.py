import json

import numpy as np
import pytest
from organs import make_hippocampi, make_organs


def test_organs_have_every_label_and_their_predictions_are_near_but_not_the_same():
    prediction, reference = make_organs((96, 96, 90), (4.0, 4.0, 3.3), 12, seed=0)
    assert np.unique(reference).tolist() == np.unique(prediction).tolist() == list(range(13))
    both = ((prediction == reference) & (reference > 0)).sum()
    dice = 2 * both / ((prediction > 0).sum() + (reference > 0).sum())
    assert 0.8 < dice < 0.99
    again = make_organs((96, 96, 90), (4.0, 4.0, 3.3), 12, seed=0)
    assert np.array_equal(prediction, again[0])


def test_hippocampi_have_two_labels_each_of_some_millilitres():
    for prediction, reference in make_hippocampi(3, seed=1):
        for label_map in (prediction, reference):
            assert all(500 < (label_map == value).sum() < 4000 for value in (1, 2))


@pytest.mark.slow
def test_evaluation(run_script, tmp_path):
    output = tmp_path / "evaluation.json"
    done = run_script("evaluation", "--quick", "-o", str(output))
    assert done.returncode == 0, done.stdout + done.stderr
    results = json.loads(output.read_text())
    assert len(results["ways"]) == 3
    assert all(way["seconds"]["wall"] > 0 and way["peak_gb"] > 0 for way in results["ways"].values())
    # What was timed agrees, so it is the same work.
    assert results["largest_difference"].keys() == {"hd95_mm", "nsd", "hd95_area_mm", "nsd_area"}
    assert max(results["largest_difference"].values()) < 1e-4
    assert results["marks_met"].keys() == {"ratio", "memory_gb", "hippocampus_seconds"}
    assert str(tmp_path) not in output.read_text()
