from pathlib import Path

import pytest

from pipeline.data.errors import InputError
from pipeline.export.given import require_lightskip_bundle, require_rendered, weights_file

BUNDLE = Path(__file__).resolve().parents[2] / "bundles" / "synthetic_shapes"


def test_a_bundle_of_ours_and_its_plan_may_be_exported():
    require_lightskip_bundle(BUNDLE)
    require_lightskip_bundle(BUNDLE / "plan.yaml")
    require_rendered(BUNDLE)


def test_what_has_no_plan_is_told_apart(tmp_path):
    exported = tmp_path / "exported"
    (exported / "configs").mkdir(parents=True)
    (exported / "configs" / "metadata.json").touch()
    (tmp_path / "bundle.zip").touch()
    (tmp_path / "empty").mkdir()
    for path, found in [
        (exported, "an exported one, or another project's"),
        (tmp_path / "bundle.zip", "found a file"),
        (tmp_path / "empty", "found no plan.yaml in it"),
        (tmp_path / "nowhere", "found no such folder"),
    ]:
        with pytest.raises(InputError, match=found):
            require_lightskip_bundle(path)


def test_weights_are_the_given_ones_or_the_bundles(tmp_path):
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "model.pt").touch()
    file, note = weights_file(tmp_path, None)
    assert file == tmp_path / "models" / "model.pt"
    assert note.endswith("the bundle's own")
    assert weights_file(tmp_path, tmp_path / "mine.pt") == (tmp_path / "mine.pt", "")
    with pytest.raises(InputError, match="--checkpoint as well"):
        weights_file(tmp_path, tmp_path / "mine.pt", "fold_0")


def test_trainings_are_named_where_the_bundle_has_no_weights(tmp_path):
    with pytest.raises(InputError, match=r"train first.*--checkpoint FILE"):
        weights_file(tmp_path, None)
    for name in ("fold_1", "long"):
        (tmp_path / "runs" / name).mkdir(parents=True)
        (tmp_path / "runs" / name / "model.pt").touch()
        if name == "fold_1":
            file, note = weights_file(tmp_path, None)
            assert file == tmp_path / "runs" / "fold_1" / "model.pt"
            assert "of the only training fold_1 (fold 1, " in note
    with pytest.raises(InputError, match=r"2 trainings: fold_1 \(fold 1, .*; long \(.*--training fold_1"):
        weights_file(tmp_path, None)
    assert weights_file(tmp_path, None, "long")[0] == tmp_path / "runs" / "long" / "model.pt"
