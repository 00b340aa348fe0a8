"""Which training is meant: what a bundle's folders show, and what is taken of them."""

import json
import os
from datetime import date
from pathlib import Path
from typing import Any

import pytest
import torch

from pipeline.bundle.trainings import (
    choose_weights,
    find_training,
    find_weights,
    list_trainings,
    no_weights_error,
)
from pipeline.data.errors import InputError


def put(bundle: Path, name: str, *, weights: bool = True, **summary: Any) -> Path:
    folder = bundle / "runs" / name
    folder.mkdir(parents=True)
    (folder / "last.pt").touch()
    if weights:
        (folder / "model.pt").touch()
    if summary:
        (folder / "training.json").write_text(json.dumps(summary))
    return folder


def put_own(bundle: Path) -> Path:
    (bundle / "models").mkdir(parents=True)
    (bundle / "models" / "model.pt").touch()
    return bundle / "models" / "model.pt"


def test_a_training_is_what_its_summary_says(tmp_path: Path) -> None:
    folder = put(tmp_path, "long", fold=2, skip="sat", epochs=30, planned=40, best_dice=0.75, finished=True)
    for file in folder.iterdir():
        os.utime(file, (0, 1_700_000_000))
    (training,) = list_trainings(tmp_path)
    assert (training.name, training.fold, training.skip, training.ended) == ("long", 2, "sat", date(2023, 11, 14))
    assert training.facts == "fold 2, best Dice 0.7500, 30 of 40 epochs, ended early, skip sat, 2023-11-14"


def test_a_training_of_an_earlier_version_is_what_its_files_show(tmp_path: Path) -> None:
    folder = put(tmp_path, "mine")
    torch.save({"identity": {"fold": 3, "skip": ["none", "sat"]}, "epoch": 2}, folder / "last.pt")
    (folder / "history.csv").write_text("epoch,val_mean_dice\n1,0.5\n2,0.625\n3,\n")
    (training,) = list_trainings(tmp_path)
    assert (training.fold, training.skip, training.finished) == (3, '["none", "sat"]', None)
    assert training.facts.startswith('fold 3, best Dice 0.6250, 3 epochs, skip ["none", "sat"], ')
    # A file that is no checkpoint tells nothing, and the folder's name tells the fold.
    put(tmp_path, "fold_4")
    assert [one.fold for one in list_trainings(tmp_path)] == [4, 3]


def test_trainings_are_listed_by_name_and_nothing_else_is(tmp_path: Path) -> None:
    for name in ("fold_10", "fold_2", "a"):
        put(tmp_path, name, weights=name != "a")
    (tmp_path / "runs" / "prepared").mkdir()
    put(tmp_path, "fold_2/previous_1")
    assert [one.name for one in list_trainings(tmp_path)] == ["a", "fold_2", "fold_10"]
    assert list_trainings(tmp_path / "elsewhere") == []


# Whether the bundle has weights of its own, the folds of its trainings, the fold that is asked for, and what is taken.
CHOICES: dict[str, tuple[bool, list[int], int | None, str]] = {
    "nothing": (False, [], None, "none"),
    "its own": (True, [], None, "own"),
    "the only training": (False, [1], None, "t0"),
    "its own before a training": (True, [1], None, "own"),
    "several": (False, [1, 2], None, "asks"),
    "the fold's": (False, [1, 2], 2, "t1"),
    "the fold's before its own": (True, [1, 2], 2, "t1"),
    "its own where the fold has none": (True, [1, 2], 0, "own"),
    "none of another fold": (False, [1], 0, "none"),
    "several of the fold": (True, [0, 0, 1], 0, "asks"),
}


@pytest.mark.parametrize("name", CHOICES)
def test_which_weights_are_meant(tmp_path: Path, name: str) -> None:
    own, folds, fold, expected = CHOICES[name]
    if own:
        put_own(tmp_path)
    for number, one in enumerate(folds):
        put(tmp_path, f"t{number}", fold=one)
    # A training that has no weights yet is none to choose.
    put(tmp_path, "begun", weights=False, fold=0)
    if expected == "asks":
        with pytest.raises(InputError, match=r"trainings.*: t0 \(fold") as raised:
            find_weights(tmp_path, fold=fold)
        assert "--training t0" in raised.value.remedy
        return
    found = find_weights(tmp_path, fold=fold)
    taken = "none" if found is None else "own" if found.training is None else found.training.name
    assert taken == expected


def test_a_training_is_named_by_its_folder_or_a_path(tmp_path: Path) -> None:
    folder, elsewhere = put(tmp_path / "b", "long", fold=1), put(tmp_path / "other", "far", fold=0)
    bundle = tmp_path / "b"
    for named in ("long", folder, folder / "model.pt", str(folder)):
        assert find_training(bundle, named).weights.samefile(folder / "model.pt")
    assert find_training(bundle, elsewhere).fold == 0
    put(bundle, "begun", weights=False)
    with pytest.raises(InputError, match=r"begun/model\.pt: found no such file: the training has had no validation"):
        find_training(bundle, "begun")
    with pytest.raises(InputError, match=r"expected a training in .*runs: begun \(.*; long \(.*did you mean .*long\?"):
        find_training(bundle, "lonk")
    with pytest.raises(InputError, match=r"there is none yet.*lightskip train"):
        find_training(tmp_path / "empty", "long")
    with pytest.raises(InputError, match="a training of fold 1, whose training cases include those of fold 0"):
        choose_weights(bundle, named="long", fold=0)
    weights = choose_weights(bundle, named="long", fold=1)
    assert weights is not None
    assert weights.note.startswith(f"weights: {folder / 'model.pt'}, of training long (fold 1, ")


def test_without_weights_the_error_names_what_there_is(tmp_path: Path) -> None:
    assert "train first (lightskip train " in str(no_weights_error(tmp_path))
    put(tmp_path, "fold_1", fold=1)
    message = str(no_weights_error(tmp_path, fold=0))
    assert "trainings: fold_1 (fold 1, " in message
    assert "--training fold_1" in message
