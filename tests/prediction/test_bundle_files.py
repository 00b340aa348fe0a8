"""What a bundle's files say before the config is evaluated, against the evaluated config."""

import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from monai.data.utils import dense_patch_slices

from pipeline.data.errors import InputError
from pipeline.prediction.bundle_files import Grid, read_bundle_files, read_inference_config, read_label_names
from pipeline.prediction.loaded_bundle import load_bundle


@pytest.fixture
def bundle(tiny_bundle: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(tiny_bundle, tmp_path / "bundle"))


def change(bundle: Path, **values: Any) -> None:
    """Change keys of the inference config."""
    file = bundle / "configs" / "inference.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | values))


# --- windows ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(16, 16, 16), (5, 5, 5), (17, 18, 40), (64, 33, 16), (100, 20, 8)])
@pytest.mark.parametrize(("window", "overlap"), [((16, 16, 16), 0.5), ((16, 16, 16), 0.25), ((8, 16, 32), 0.5)])
def test_windows_are_counted_as_monai_places_them(
    shape: tuple[int, ...], window: tuple[int, ...], overlap: float
) -> None:
    # Axes in ascending order, as the order of the scan's is not known yet.
    lengths = [max(length, side) for length, side in zip(sorted(shape), window, strict=True)]
    steps = [int(side * (1 - overlap)) for side in window]
    expected = len(dense_patch_slices(lengths, window, steps))
    assert Grid((1.0, 1.0, 1.0), window, overlap).count_windows(shape, (1.0, 1.0, 1.0)) == expected


def test_windows_are_those_of_the_network_s_grid() -> None:
    grid = Grid((2.0, 1.0, 1.0), (16, 16, 16), 0.5)
    # 64 x 32 x 16 voxels in the network's grid: 7, 3 and 1 windows.
    assert grid.count_windows((64, 16, 16), (2.0, 2.0, 1.0)) == 7 * 3
    assert grid.count_windows((16, 16, 16), (1.0, 1.0, 1.0)) == 1
    # Without a spacing of its own the scan's voxels are the network's.
    assert Grid((), (16, 16, 16), 0.5).count_windows((64, 16, 16), (2.0, 2.0, 1.0)) == 7


def test_a_window_may_have_the_whole_axis_and_two_axes() -> None:
    assert Grid((1.0, 1.0, 1.0), (16, 16, -1), 0.5).count_windows((400, 32, 32), (1.0, 1.0, 1.0)) > 1
    assert Grid((1.0, 1.0, 1.0), (-1, -1, -1), 0.5).count_windows((400, 32, 32), (1.0, 1.0, 1.0)) == 1
    assert Grid((1.0, 1.0), (16, 16), 0.5).count_windows((24, 32), (1.0, 1.0)) == 2 * 3


# --- the files --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dims", [2, 3])
def test_the_files_say_what_the_evaluated_config_says(dims: int, tiny_bundle: Path, tiny_flat_bundle: Path) -> None:
    folder = tiny_bundle if dims == 3 else tiny_flat_bundle
    files, loaded = read_bundle_files(folder), load_bundle(folder, device="cpu")
    for name in ("folder", "name", "version", "channels", "labels", "precision", "sha256"):
        assert getattr(files, name) == getattr(loaded, name), name
    assert files.weights == loaded.checkpoints
    assert files.grid == Grid((1.0,) * dims, (16,) * dims, 0.5)
    assert files.grid.spacing == loaded.own_spacing


def test_the_checksum_is_that_of_the_weights(bundle: Path, tmp_path: Path) -> None:
    others = [tmp_path / "a.pt", tmp_path / "b.pt"]
    for number, file in enumerate(others):
        file.write_bytes(bytes([number]))
    found = read_bundle_files(bundle, checkpoints=others)
    assert found.weights == tuple(others)
    assert found.sha256 == tuple(hashlib.sha256(bytes([number])).hexdigest() for number in range(2))


def test_options_change_what_is_read(bundle: Path) -> None:
    plain = read_bundle_files(bundle)
    fast = read_bundle_files(bundle, fast=True)
    assert plain.grid is not None
    assert fast.grid == Grid(plain.grid.spacing, plain.grid.window, 0.25)
    assert read_bundle_files(bundle, settings={"inferer#overlap": 0.1}).grid == Grid((1.0,) * 3, (16,) * 3, 0.1)
    assert read_bundle_files(bundle, settings={"precision": "bfloat16"}).precision == "bfloat16"
    assert read_bundle_files(bundle, settings={"in_channels": 3}).channels == 3


def test_what_only_evaluating_tells_is_none(bundle: Path) -> None:
    change(bundle, in_channels="$1", labels="$dict(background=0)", checkpoint="$'elsewhere.pt'")
    change(bundle, inferer={"_target_": "SlidingWindowInferer", "roi_size": "$(16, 16, 16)", "overlap": 0.5})
    found = read_bundle_files(bundle)
    assert (found.channels, found.labels, found.grid) == (None, None, None)
    assert (found.weights, found.sha256) == ((), ())


def test_names_of_labels_may_be_in_the_metadata_alone(bundle: Path) -> None:
    # As in an exported bundle.
    file = bundle / "configs" / "inference.json"
    content = json.loads(file.read_text())
    labels = content.pop("labels")
    file.write_text(json.dumps(content))
    assert read_bundle_files(bundle).labels == labels == {"background": 0, "core": 1, "rim": 2}
    (bundle / "configs" / "metadata.json").write_text("{}")
    assert read_bundle_files(bundle).labels is None
    assert read_label_names({"network_data_format": {"outputs": {"pred": {}}}}) == {}


def test_without_metadata_the_name_is_the_folder_s(bundle: Path) -> None:
    (bundle / "configs" / "metadata.json").unlink()
    found = read_bundle_files(bundle)
    assert (found.name, found.version) == ("bundle", "")


@pytest.mark.parametrize(
    "text",
    [
        "no JSON",
        "[]",
        '{"network_data_format": "x"}',
        '{"network_data_format": {"outputs": {"pred": 1}}}',
        '{"network_data_format": {"outputs": {"pred": {"channel_def": "x"}}}}',
        '{"network_data_format": {"outputs": {"pred": {"channel_def": {"a": "x"}}}}}',
        '{"labels": {"liver": "x"}}',
    ],
)
def test_metadata_that_cannot_be_used_are_refused(text: str, bundle: Path) -> None:
    (bundle / "configs" / "metadata.json").write_text(text)
    with pytest.raises(InputError) as raised:
        read_bundle_files(bundle)
    assert "metadata.json" in str(raised.value)
    assert "lightskip render" in raised.value.remedy


@pytest.mark.parametrize(
    ("settings", "found"),
    [
        ({"inferer#overlap": -1}, "overlap -1"),
        ({"inferer#overlap": 1}, "overlap 1"),
        ({"inferer#overlap": [0.5, 0.5, 2.0]}, "overlap [0.5, 0.5, 2.0]"),
        ({"inferer#sw_batch_size": 0}, "sw_batch_size 0"),
        ({"inferer#sw_batch_size": -1}, "sw_batch_size -1"),
    ],
)
def test_windows_that_leave_gaps_are_refused(settings: dict[str, Any], found: str, bundle: Path) -> None:
    with pytest.raises(InputError) as raised:
        read_bundle_files(bundle, settings=settings)
    assert found in raised.value.found


# --- what is refused --------------------------------------------------------------------------------------------------


def test_missing_weights_are_refused(bundle: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"none\.pt: found no such file"):
        read_bundle_files(bundle, checkpoints=[tmp_path / "none.pt"])
    (bundle / "models" / "model.pt").write_bytes(b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n")
    with pytest.raises(InputError, match="Git-LFS pointer"):
        read_bundle_files(bundle)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"settings": {"precisoin": "float32"}}, "the nearest are precision"),
        ({"settings": {"tta": True}}, "--set tta: found a key that prediction sets itself"),
        ({"dropout_samples": 2, "runtime": "int8"}, "--runtime int8: found dropout_samples 2 as well"),
        ({"runtime": "tensorrt"}, "one of auto, pytorch, openvino"),
        ({"device": "gpu"}, "--device: found gpu"),
    ],
)
def test_a_wrong_option_is_refused(options: dict[str, Any], message: str, bundle: Path) -> None:
    with pytest.raises(InputError, match=message):
        read_bundle_files(bundle, **options)


def test_a_folder_without_a_config_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no configs/inference\.json"):
        read_bundle_files(tmp_path)
    (tmp_path / "configs").mkdir()
    (tmp_path / "configs" / "inference.json").write_text("no JSON")
    with pytest.raises(InputError, match="cannot be read as a config"):
        read_bundle_files(tmp_path)


# --- overrides --------------------------------------------------------------------------------------------------------


def test_options_become_overrides(bundle: Path) -> None:
    file, config, overrides = read_inference_config(bundle)
    assert file == bundle / "configs" / "inference.json"
    assert config == json.loads(file.read_text())
    assert overrides == {}
    given = {"checkpoints": ["a.pt", "b.pt"], "device": "cpu", "tta": True, "dropout_samples": 3, "fast": True}
    assert read_inference_config(bundle, settings={"precision": "float32"}, **given)[2] == {
        "checkpoint": "a.pt",
        "device": "$torch.device('cpu')",
        "tta": True,
        "dropout_samples": 3,
        "inferer#overlap": 0.25,
        "precision": "float32",
    }


def test_keys_that_an_exported_config_lacks_are_left_out(bundle: Path) -> None:
    file = bundle / "configs" / "inference.json"
    content = json.loads(file.read_text())
    del content["tta"], content["dropout_samples"]
    file.write_text(json.dumps(content))
    assert read_inference_config(bundle, tta=True, dropout_samples=2)[2] == {}
