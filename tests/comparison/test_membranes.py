import csv
import json
import math
from pathlib import Path

import numpy as np
import pytest

from pipeline.cli import main
from pipeline.comparison.membranes import MembraneCurve, choose_thresholds, measure_curve, require_slices
from pipeline.comparison.probabilities import Probabilities
from pipeline.data.errors import InputError
from pipeline.evaluation.membranes import THRESHOLDS, measure_membranes
from pipeline.evaluation.metric_names import MEMBRANE_METRICS

SHAPE = (24, 30)


def draw_membrane():
    """Two lines that separate four cells."""
    membrane = np.zeros(SHAPE, dtype=np.uint8)
    membrane[12], membrane[:, 14:16] = 1, 1
    return membrane


def draw_probability(hole, noise):
    """The membrane is .9; a hole in it is as sure as `hole`, false membranes across cells as `noise`."""
    probability = np.where(draw_membrane(), 0.9, 0.05).astype(np.float32)
    probability[12, 4:7] = hole
    for row in (3, 6, 9, 15, 18, 21):
        probability[row] = np.maximum(probability[row], noise)
    return probability


def save_case(save, folder, name, probability):
    save(f"ref/{name}.nii.gz", draw_membrane())
    save(f"{folder}/{name}_seg.nii.gz", (probability >= 0.5).astype(np.uint8))
    save(f"{folder}/{name}_prob.nii.gz", np.stack([1 - probability, probability], axis=-1)[:, :, None])


def run(*words, jobs="1"):
    return main(["compare", "ref", *words, "--labels", "membrane=1", "-o", "out", "--jobs", jobs, "--resamples", "200"])


def read_rows():
    with Path("out", "cases.csv").open(newline="") as stream:
        return list(csv.DictReader(stream))


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize("jobs", ["1", "2"])
def test_a_set_has_one_threshold_for_all_its_cases(save, jobs):
    drawn = {"a": draw_probability(0.35, 0.05), "b": draw_probability(0.9, 0.45), "c": draw_probability(0.65, 0.55)}
    for name, probability in drawn.items():
        save_case(save, "one", name, probability)
    assert run("one", "--membranes", "membrane", jobs=jobs) == 0
    # At .6 and below .65 nothing is split, and only the hole of the first case is open.
    stack = np.stack(list(drawn.values())), np.stack([draw_membrane()] * 3)
    whole = measure_membranes(*stack)
    assert (whole.v_rand_threshold, whole.v_info_threshold) == (0.6, 0.6)
    rows = read_rows()
    for row, probability in zip(rows, drawn.values(), strict=True):
        expected = measure_membranes(probability, draw_membrane(), thresholds=[0.6]).as_row()
        assert {name: float(row[name]) for name in MEMBRANE_METRICS} == pytest.approx(expected, abs=1e-6)
    assert np.mean([float(row["v_rand"]) for row in rows]) == pytest.approx(whole.v_rand.v_rand, abs=1e-6)
    # The first case alone would be best at a lower threshold.
    assert float(rows[0]["v_rand"]) < measure_membranes(drawn["a"], draw_membrane()).v_rand.v_rand == pytest.approx(1)
    content = json.loads(Path("out", "summary.json").read_text())
    assert content["membranes"] == [
        {
            "set": "one",
            "label": "membrane",
            "v_rand_threshold": 0.6,
            "v_info_threshold": 0.6,
            "cases_with_probabilities": 3,
        }
    ]
    assert set(MEMBRANE_METRICS) <= content["statistics"]["one"]["membrane"].keys()
    # Calibration was not asked for.
    assert not Path("out", "calibration.csv").exists()
    assert "calibration" not in content


@pytest.mark.usefixtures("folder")
def test_without_probabilities_the_label_map_counts_and_what_is_missing_is_0(save):
    for name in "abc":
        save_case(save, "one", name, draw_probability(0.35, 0.05))
        Path("one", f"{name}_prob.nii.gz").unlink()
    save("one/b_seg.nii.gz", np.zeros(SHAPE, dtype=np.uint8))
    Path("one/c_seg.nii.gz").unlink()
    assert run("one", "--membranes", "membrane") == 0
    expected = measure_membranes(draw_probability(0.35, 0.05) >= 0.5, draw_membrane()).as_row()
    found = [[float(row[name]) for name in MEMBRANE_METRICS] for row in read_rows()]
    assert found == [pytest.approx(list(expected.values()), abs=1e-6), [0] * 6, [0] * 6]
    content = json.loads(Path("out", "summary.json").read_text())
    assert content["membranes"][0]["v_rand_threshold"] is None
    assert any("a, b): V_rand and V_info are those of the label map" in note for note in content["notes"])
    # Without the option there are no such columns.
    assert run("one") == 0
    assert not set(MEMBRANE_METRICS) & read_rows()[0].keys()


@pytest.mark.usefixtures("folder")
def test_volumes_and_other_labels_and_files_are_refused(save, capsys):
    save_case(save, "one", "a", draw_probability(0.35, 0.05))
    assert run("one", "--membranes", "nucleus") == 2
    assert "--membranes: found the label nucleus" in capsys.readouterr().err
    save("one/a_prob.nii.gz", np.full((*SHAPE, 1, 2), 7, dtype=np.float32))
    assert run("one", "--membranes", "membrane") == 2
    assert "a_prob.nii.gz: found probabilities are from 7.0 to 7.0" in capsys.readouterr().err
    assert not Path("out").exists()
    with pytest.raises(InputError, match="--membranes: found label maps in 3 dimensions"):
        require_slices(["membrane"], 3)
    require_slices([], 3)
    require_slices(["membrane"], 2)


def test_an_absent_structure_and_a_reference_without_cells_do_not_count():
    everything = np.ones(SHAPE, dtype=bool)
    curves = [
        measure_curve({"set": "s", "label": "m", "outcome": "absent"}, ~everything, ~everything),
        measure_curve({"set": "s", "label": "m", "outcome": "false_positive"}, everything, ~everything),
        measure_curve({"set": "s", "label": "m", "outcome": "found"}, everything, everything),
    ]
    choose_thresholds(curves)
    found = [[one.row[name] for name in MEMBRANE_METRICS] for one in curves]
    assert [all(math.isnan(value) for value in values) for values in found] == [True, False, True]
    assert found[1] == [0] * 6


def test_each_measure_has_its_own_threshold_and_equal_ones_take_the_lowest():
    def score(v_rand, v_info):
        return {name: v_rand if name.startswith("v_rand") else v_info for name in MEMBRANE_METRICS}

    scores = (score(0.2, 0.5), score(0.6, 0.7), score(0.9, 0.7))
    first = MembraneCurve({"set": "s", "label": "m"}, (0.1, 0.2, 0.3), scores)
    single = MembraneCurve({"set": "s", "label": "m"}, (), (score(0.4, 0.3),))
    [entry] = choose_thresholds([single, first])
    assert (entry["v_rand_threshold"], entry["v_info_threshold"], entry["cases_with_probabilities"]) == (0.3, 0.2, 1)
    assert (first.row["v_rand"], first.row["v_info"], single.row["v_rand"]) == (0.9, 0.7, 0.4)


def test_the_membranes_channel_is_read(save):
    probability = draw_probability(0.35, 0.05)
    path = save("a_prob.nii.gz", np.stack([probability, 1 - probability], axis=-1)[:, :, None])
    curve = measure_curve(
        {"set": "s", "label": "m", "outcome": "found"},
        draw_membrane() == 1,
        draw_membrane() == 1,
        Probabilities(path, 2, None, ""),
        0,
    )
    assert curve.thresholds == THRESHOLDS
    whole = measure_membranes(probability, draw_membrane())
    assert [one["v_info"] for one in curve.scores] == [one.v_info for one in whole.curve]
