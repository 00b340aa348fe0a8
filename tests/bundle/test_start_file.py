"""Where the weights to start from are, and what their bundle says of itself."""

import json
from pathlib import Path

import pytest

from pipeline.bundle.start_file import bundle_of, find_start, read_channel_names, read_started, settings_of
from pipeline.data.errors import InputError

BUNDLES = Path(__file__).resolve().parents[2] / "bundles"
HIPPOCAMPUS = BUNDLES / "hippocampus_mri"


def test_a_file_a_training_a_bundle_and_a_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    training = tmp_path / "mine" / "runs" / "fold_3"
    training.mkdir(parents=True)
    (tmp_path / "mine" / "plan.yaml").touch()
    (training / "model.pt").touch()
    (tmp_path / "weights.pth").touch()
    assert find_start("weights.pth") == Path("weights.pth")
    assert find_start(training) == training / "model.pt"
    assert find_start("mine").resolve() == training / "model.pt"
    assert find_start("hippocampus_mri") == HIPPOCAMPUS / "models" / "model.pt"


@pytest.mark.parametrize(
    ("named", "found"),
    [
        ("nothing.pt", "no such file"),
        ("no/such/folder", "no such file"),
        ("hippocampus_mr", "no such folder, and no bundle of this name"),
        ("synthetic_shapes", "no weights in"),
    ],
)
def test_missing_weights(named: str, found: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError) as raised:
        find_start(named)
    assert found in raised.value.found
    assert "--checkpoint" not in str(raised.value)


def test_a_pointer_instead_of_weights(tmp_path: Path) -> None:
    file = tmp_path / "model.pt"
    file.write_text("version https://git-lfs.github.com/spec/v1\n")
    with pytest.raises(InputError, match="Git-LFS pointer"):
        find_start(file)


def test_the_bundle_of_weights(tmp_path: Path) -> None:
    assert bundle_of(HIPPOCAMPUS / "models" / "model.pt") == HIPPOCAMPUS
    assert bundle_of(HIPPOCAMPUS / "runs" / "fold_0" / "model.pt") == HIPPOCAMPUS
    assert bundle_of(tmp_path / "model.pt") is None


def test_names_and_settings_of_a_bundle() -> None:
    assert read_channel_names(HIPPOCAMPUS) == (("T1 MRI",), ("background", "anterior", "posterior"))
    assert read_channel_names(None) == (None, None)
    settings = settings_of(HIPPOCAMPUS)
    assert settings["modality"] == "MRI"
    assert settings["spacing"] == "[1.0, 1.0, 1.0]"
    assert settings["orientation"] == "RAS"
    assert "NormalizeIntensityd" in settings["normalisation"]


@pytest.mark.parametrize(
    "content", ["", "[]", '{"network_data_format": {"outputs": {"pred": {"channel_def": {"1": "a"}}}}}']
)
def test_metadata_that_say_nothing(content: str, tmp_path: Path) -> None:
    (tmp_path / "configs").mkdir()
    (tmp_path / "configs" / "metadata.json").write_text(content)
    assert read_channel_names(tmp_path) == (None, None)
    assert settings_of(tmp_path) == {}


def test_a_record_that_is_damaged_says_nothing(tmp_path: Path) -> None:
    assert read_started(tmp_path) == {}
    (tmp_path / "started_from.json").write_text("[1")
    assert read_started(tmp_path) == {}
    (tmp_path / "started_from.json").write_text(json.dumps({"weights": "a"}))
    assert read_started(tmp_path) == {"weights": "a"}
