"""Where the results of an evaluation are written, and which results they never replace."""

import hashlib
import json
import re
from pathlib import Path
from typing import Any

import pytest

from pipeline.bundle.evaluation_results import check_evaluation_folder, evaluation_folder
from pipeline.data.errors import InputError

from .test_trainings import put


def test_every_training_and_fold_has_a_folder_for_its_evaluation(tmp_path: Path) -> None:
    put(tmp_path, "long", fold=0)
    put(tmp_path, "unknown")
    made = {
        evaluation_folder(tmp_path, tmp_path / file, fold).removeprefix(f"{tmp_path}/evaluation/")
        for file in ("models/model.pt", "runs/fold_0/model.pt", "runs/long/model.pt", "runs/unknown/model.pt", "m/b.pt")
        for fold in (0, 1)
    }
    assert made == {
        *("models_fold_0", "models_fold_1", "fold_0", "fold_0_fold_1", "long", "long_fold_1"),
        *("unknown_fold_0", "unknown_fold_1", "m_b_fold_0", "m_b_fold_1"),
    }


def test_trainings_of_one_name_are_evaluated_in_folders_of_their_own(tmp_path: Path) -> None:
    put(tmp_path / "bundle", "long", fold=0)
    places = [tmp_path / place / "long" / "model.pt" for place in ("bundle/runs", "first", "second/runs")]
    names = [Path(evaluation_folder(tmp_path / "bundle", file, 0)).name for file in places]
    assert names[0] == "long"
    assert len(set(names)) == 3
    assert all(re.fullmatch("long_[0-9a-f]{8}_fold_0", name) for name in names[1:])
    # However the path is written.
    (tmp_path / "link").symlink_to(tmp_path / "first")
    assert Path(evaluation_folder(tmp_path / "bundle", tmp_path / "link" / "long" / "model.pt", 0)).name == names[1]


def test_results_of_other_weights_stay_and_the_new_ones_have_a_folder_of_their_own(tmp_path: Path) -> None:
    file = put(tmp_path, "fold_0") / "model.pt"
    folder = Path(evaluation_folder(tmp_path, file, 0))
    write_summary(folder, file.read_bytes())
    assert Path(evaluation_folder(tmp_path, file, 0)) == folder
    check_evaluation_folder(folder, file)
    # Trained anew under the same name.
    file.write_bytes(b"other weights")
    digest = hashlib.sha256(b"other weights").hexdigest()
    assert evaluation_folder(tmp_path, file, 0) == f"{folder}_{digest[:8]}"
    with pytest.raises(InputError, match=r"found the evaluation of other weights; .* --output_dir DIR"):
        check_evaluation_folder(folder, file)
    # Results that do not name their weights, and no results, are no other weights'.
    (folder / "summary.json").write_text("[]")
    check_evaluation_folder(folder, file)
    check_evaluation_folder(tmp_path / "new", file)


def test_an_evaluation_does_not_replace_a_comparison(tmp_path: Path) -> None:
    (tmp_path / "summary.json").write_text('{"kind": "comparison", "cases": []}')
    with pytest.raises(InputError, match=r"found the results of lightskip compare; .* --output_dir DIR"):
        check_evaluation_folder(tmp_path, tmp_path / "model.pt")


def write_summary(folder: Path, weights: bytes, **more: Any) -> None:
    folder.mkdir(parents=True)
    provenance = {"checkpoint_sha256": hashlib.sha256(weights).hexdigest(), **more}
    (folder / "summary.json").write_text(json.dumps({"provenance": provenance}))


def test_the_test_cases_have_a_folder_of_their_own_for_every_training(tmp_path: Path) -> None:
    put(tmp_path, "long", fold=2)
    names = {Path(evaluation_folder(tmp_path, tmp_path / "runs/long/model.pt", n, part="test")).name for n in (0, 2)}
    assert names == {"long_test"}


def test_results_of_another_datalist_stay_and_the_new_ones_have_a_folder_of_their_own(tmp_path: Path) -> None:
    file, lists = put(tmp_path, "fold_0") / "model.pt", [tmp_path / name for name in ("a.json", "b.json")]
    for one in lists:
        one.write_text(one.name)
    digests = [hashlib.sha256(one.name.encode()).hexdigest() for one in lists]
    folder = Path(evaluation_folder(tmp_path, file, 0, datalist=lists[0]))
    write_summary(folder, file.read_bytes(), datalist_sha256=digests[0])
    assert evaluation_folder(tmp_path, file, 0, datalist=lists[0]) == str(folder)
    assert evaluation_folder(tmp_path, file, 0, datalist=lists[1]) == f"{folder}_{digests[1][:8]}"
    check_evaluation_folder(folder, file, datalist=lists[0])
    with pytest.raises(InputError, match=r"found the evaluation of the cases of another datalist; .* --output_dir DIR"):
        check_evaluation_folder(folder, file, datalist=lists[1])
    # Configs of an earlier version name no datalist, and their results have no hash of one.
    check_evaluation_folder(folder, file)
    file.write_bytes(b"other")
    other = f"{folder}_{hashlib.sha256(b'other').hexdigest()[:8]}"
    assert evaluation_folder(tmp_path, file, 0, datalist=lists[1]) == other


@pytest.mark.parametrize(
    ("part", "fold", "is_other"),
    [("validation", 0, False), ("validation", 1, True), ("test", 0, True), ("validation", None, False)],
)
def test_results_of_other_cases_of_a_datalist_are_not_replaced(tmp_path: Path, part: str, fold: Any, is_other: bool):
    file = put(tmp_path, "fold_0") / "model.pt"
    write_summary(tmp_path / "out", file.read_bytes(), part="validation", fold=0)
    if is_other:
        with pytest.raises(InputError, match="found the evaluation of other cases of this datalist"):
            check_evaluation_folder(tmp_path / "out", file, part=part, fold=fold)
    else:
        check_evaluation_folder(tmp_path / "out", file, part=part, fold=fold)
