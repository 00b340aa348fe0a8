"""What is refused before the first run of a study: measurements, datasets, folds and folders."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from pipeline.data.errors import InputError
from pipeline.data.sample import make_sample
from pipeline.study.checks import check_datalists, check_folds, check_measurements, check_output
from pipeline.study.expand import expand_study
from pipeline.study.measure import evaluation_words
from pipeline.study.read_study import read_study

from .conftest import changed


def expand(file, folder=None):
    return expand_study(read_study(file), {} if folder is None else {"synthetic_shapes": folder})


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (changed("device", to="tpu9"), "device: found tpu9"),
        (changed("measure", to={"robustness": {"perturbations": ["nois"]}}), "did you mean noise"),
        (changed("measure", to={"robustness": {"perturbations": []}}), "measure.robustness.perturbations"),
        (changed("measure", to={"membranes": True}), "measure.membranes: found the bundle synthetic_shapes"),
    ],
)
def test_what_cannot_be_measured(write, content, words):
    file = read_study(write(content))
    with pytest.raises(InputError, match=words):
        check_measurements(file, expand_study(file))


def test_what_can_be_measured(write):
    file = read_study(write(changed("measure", to={"robustness": {"perturbations": ["noise"]}, "probes": True})))
    check_measurements(file, expand_study(file))


def test_a_dataset_that_is_not_there(write, tmp_path):
    runs = expand(write(), tmp_path / "nowhere")
    for check in (check_datalists, check_folds):
        with pytest.raises(InputError, match=r"no such folder.*--dataset_dir synthetic_shapes=DIR"):
            check(runs)
    (tmp_path / "nowhere").mkdir()
    with pytest.raises(InputError, match=r"no dataset\.json"):
        check_datalists(runs)


@pytest.mark.slow
def test_a_fold_that_does_not_exist(write, tmp_path):
    make_sample(tmp_path / "data")
    runs = expand(write(), tmp_path / "data")
    check_datalists(runs)
    check_folds(runs)
    with pytest.raises(InputError, match="no case with fold 99"):
        check_folds([replace(run, fold=99) for run in runs])


def write_bundle(folder, where=""):
    """Copy a shipped bundle, whose plan then names the dataset ``scans`` next to it: a case in each of two folds."""
    bundle = folder / "mine"
    shutil.copytree(Path(__file__).parents[2] / "bundles" / "synthetic_shapes", bundle)
    plan = bundle / "plan.yaml"
    plan.write_text(plan.read_text().replace("\ndata:\n", "\ndata:\n  folder: ../scans\n"))
    items = [{"image": f"{where}{fold}.nii.gz", "label": "l.nii.gz", "fold": fold} for fold in (0, 1)]
    labels = {"0": "background", "1": "ellipsoid", "2": "shell", "3": "tube"}
    (folder / "scans").mkdir()
    for file in (f"{where}0.nii.gz", f"{where}1.nii.gz", "l.nii.gz"):
        (folder / "scans" / file).touch()
    (folder / "scans" / "dataset.json").write_text(json.dumps({"labels": labels, "training": items}))
    return bundle


def test_the_dataset_is_the_folder_of_the_plan(write, tmp_path):
    bundle = write_bundle(tmp_path)
    runs = expand(write(changed("arms", 0, "bundle", to=str(bundle))))
    check_datalists(runs)
    check_folds(runs)
    assert runs[0].settings["datalist_sha256"] is not None


def test_files_outside_are_refused_unless_the_study_asks_for_them(write, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    bundle = write_bundle(tmp_path, f"{tmp_path}/elsewhere/")
    content = changed("arms", 0, "bundle", to=str(bundle))
    with pytest.raises(InputError, match="outside the dataset's folder"):
        check_folds(expand(write(content)))
    content["arms"][0]["overrides"]["outside"] = True
    runs = expand(write(content))
    check_folds(runs)
    words = evaluation_words(runs[0], Path("model.pt"), Path("results"))
    assert words[words.index("--outside") + 1] == "True"


def test_a_folder_of_results_that_cannot_be_made(tmp_path):
    file = tmp_path / "file"
    file.write_text("mine")
    check_output(tmp_path / "new" / "folder")
    for output in (file, file / "below"):
        with pytest.raises(InputError, match="found a file"):
            check_output(output)
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "runs").write_text("mine")
    with pytest.raises(InputError, match="found a file"):
        check_output(Path(tmp_path / "out"))
