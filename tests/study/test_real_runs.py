"""Runs of the synthetic bundle, trained and measured in their processes."""

import json
from pathlib import Path

import pytest

from pipeline.data.sample import make_sample
from pipeline.study.expand import expand_study
from pipeline.study.read_study import read_study
from pipeline.study.result import read_result
from pipeline.study.run_step import do_run
from pipeline.study.schema import Measure

from .conftest import STUDY, changed

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_sample(tmp_path_factory.mktemp("data") / "sample", cases=8, scans=1).parent


def test_a_run_has_every_part_and_the_last_epochs_numbers(write, dataset, tmp_path):
    file = read_study(write({**STUDY, "budget": {"epochs": 1}}))
    run = next(run for run in expand_study(file, {"synthetic_shapes": dataset}) if run.arm.skip == "sat")
    output = tmp_path / "study"
    content = read_result(do_run(run, output, Measure()))
    assert content["state"] == "done"
    assert len(content["cases"]["names"]) == 2
    assert content["cases"]["labels"] == ["ellipsoid", "shell", "tube"]
    # The same weights, measured by hand from what the evaluation wrote.
    folder = output / "trainings" / run.id
    summary = json.loads((folder / "evaluation" / "summary.json").read_text())
    assert summary["provenance"]["checkpoint"] == "model.pt"
    assert summary["provenance"]["skip"] == ["sat", {"select": "soft"}]
    dice = [value for row in content["cases"]["dice"] for value in row]
    rows = (folder / "evaluation" / "cases.csv").read_text().splitlines()[1:]
    assert dice == pytest.approx([float(row.split(",")[2]) for row in rows], abs=1e-5)
    assert len(content["curve"]) == 1
    assert content["weight_changes"]["epochs"] == [1]
    assert content["cost"]["parameters"] > 0
    assert content["cost"]["scan_seconds"] > 0


def test_a_run_that_diverges_is_a_result(write, dataset, tmp_path):
    content = changed("arms", 0, "overrides", "learning_rate", to=1e30)
    file = read_study(write({**content, "budget": {"epochs": 2}}))
    run = expand_study(file, {"synthetic_shapes": dataset})[0]
    found = read_result(do_run(run, tmp_path / "study", Measure()))
    assert found["state"] == "diverged"
    assert "the loss is" in found["reason"]
