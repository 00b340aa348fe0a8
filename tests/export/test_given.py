from pathlib import Path

import pytest

from pipeline.data.errors import InputError
from pipeline.export.given import require_ours, require_rendered, weights_file

BUNDLE = Path(__file__).resolve().parents[2] / "bundles" / "synthetic_shapes"


def test_a_bundle_of_ours_and_its_plan_may_be_exported():
    require_ours(BUNDLE)
    require_ours(BUNDLE / "plan.yaml")
    require_rendered(BUNDLE)


def test_what_has_no_plan_is_told_apart(tmp_path):
    exported = tmp_path / "exported"
    (exported / "configs").mkdir(parents=True)
    (exported / "configs" / "metadata.json").touch()
    (tmp_path / "bundle.zip").touch()
    (tmp_path / "empty").mkdir()
    for path, found in [
        (exported, "an exported one, or one of another make"),
        (tmp_path / "bundle.zip", "found a file"),
        (tmp_path / "empty", "found no plan.yaml in it"),
        (tmp_path / "nowhere", "found no such folder"),
    ]:
        with pytest.raises(InputError, match=found):
            require_ours(path)


def test_weights_are_the_given_ones_or_the_bundles(tmp_path):
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "model.pt").touch()
    assert weights_file(tmp_path, None) == tmp_path / "models" / "model.pt"
    assert weights_file(tmp_path, tmp_path / "mine.pt") == tmp_path / "mine.pt"


def test_trainings_are_named_where_there_are_no_weights(tmp_path):
    with pytest.raises(InputError, match=r"train the bundle.*--checkpoint RUN/model\.pt"):
        weights_file(tmp_path, None)
    (tmp_path / "runs" / "fold_1").mkdir(parents=True)
    (tmp_path / "runs" / "fold_1" / "model.pt").touch()
    with pytest.raises(InputError, match=r"name those of a training: --checkpoint .*fold_1/model\.pt"):
        weights_file(tmp_path, None)
