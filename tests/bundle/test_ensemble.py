"""The ensemble that a bundle remembers, and that predict takes without naming its trainings."""

import json
from pathlib import Path

import pytest

from pipeline.bundle.ensemble import read_ensemble, write_ensemble
from pipeline.data.errors import InputError
from pipeline.prediction.settings import choose_checkpoints


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    for fold in range(3):
        folder = tmp_path / "runs" / f"fold_{fold}"
        folder.mkdir(parents=True)
        (folder / "model.pt").touch()
    return tmp_path


def test_predict_takes_the_ensemble(bundle: Path) -> None:
    with pytest.raises(InputError, match="3 trainings"):
        choose_checkpoints(bundle)
    write_ensemble(bundle, ["fold_0", "fold_2"])
    files, note = choose_checkpoints(bundle)
    assert files == [str(bundle / "runs" / name / "model.pt") for name in ("fold_0", "fold_2")]
    assert "of the ensemble's training fold_0 (fold 0" in note
    assert len(note.splitlines()) == 2


def test_named_weights_come_before_the_ensemble(bundle: Path) -> None:
    write_ensemble(bundle, ["fold_0", "fold_2"])
    assert choose_checkpoints(bundle, trainings=["fold_1"])[0] == [str(bundle / "runs" / "fold_1" / "model.pt")]
    assert choose_checkpoints(bundle, folds=[1])[0] == [str(bundle / "runs" / "fold_1" / "model.pt")]


def test_the_bundles_own_weights_come_before_the_ensemble(bundle: Path) -> None:
    write_ensemble(bundle, ["fold_0", "fold_2"])
    (bundle / "models" / "model.pt").touch()
    assert choose_checkpoints(bundle) == ([], "")


def test_a_bundle_without_an_ensemble(bundle: Path) -> None:
    assert read_ensemble(bundle) == []


def test_a_training_without_weights_is_no_part_of_it(bundle: Path) -> None:
    (bundle / "runs" / "fold_1" / "model.pt").unlink()
    with pytest.raises(InputError, match="no training with this name"):
        write_ensemble(bundle, ["fold_0", "fold_1"])
    assert not (bundle / "models").exists()


def test_a_training_that_has_gone_is_named(bundle: Path) -> None:
    write_ensemble(bundle, ["fold_0", "fold_2"])
    (bundle / "runs" / "fold_2" / "model.pt").unlink()
    with pytest.raises(InputError) as raised:
        choose_checkpoints(bundle)
    assert "ensemble.json" in str(raised.value.where)
    assert "fold_2" in raised.value.found


@pytest.mark.parametrize("text", ["{", "[]", "{}", json.dumps({"trainings": []}), json.dumps({"trainings": [1]})])
def test_a_damaged_file(bundle: Path, text: str) -> None:
    (bundle / "models").mkdir()
    (bundle / "models" / "ensemble.json").write_text(text)
    with pytest.raises(InputError, match="no list of trainings"):
        read_ensemble(bundle)
